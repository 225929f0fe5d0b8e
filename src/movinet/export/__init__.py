"""Networks for other runtimes: the deployed step written in their formats, checked by running it there."""
