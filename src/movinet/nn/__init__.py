"""The network: stream buffers, blocks, the MoViNet itself and ensembles of it."""
