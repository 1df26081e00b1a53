"""Whether a machine is fit to train: what its processes, devices and disk do, measured and tried."""
