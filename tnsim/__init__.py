"""tnsim: tensor networks on symmetric tensors."""

from tnsim import _source_tree as _source_tree
