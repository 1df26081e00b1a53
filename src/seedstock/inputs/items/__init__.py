"""Inputs that are no stream of tokens: pictures, sounds, clips, episodes, each cut into items of one shape."""
