"""To and from the ecosystem's formats, with a proof of parity."""
