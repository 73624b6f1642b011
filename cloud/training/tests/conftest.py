"""One thread for PyTorch: the networks here are tiny, and several threads are slow on a busy machine."""

import torch

torch.set_num_threads(1)
