"""What a network is trained to do, one small file each: corrupt, embed, take the loss, say what to expect."""
