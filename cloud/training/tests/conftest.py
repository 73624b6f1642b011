"""One thread for PyTorch: the networks here are tiny, and threads that wait for each other starve beside other work."""

import torch

torch.set_num_threads(1)
