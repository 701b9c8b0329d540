"""the loop, optimisers, checkpoints, devices and ranks"""
