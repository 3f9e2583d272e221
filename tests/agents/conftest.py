"""Small nets on few cores: one thread is twice as fast as two."""

import torch

torch.set_num_threads(1)
