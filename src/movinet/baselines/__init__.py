"""The networks that MoViNets are compared with, as plain modules: clips (B, 3, T, H, W) in, logits out."""
