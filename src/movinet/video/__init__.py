"""Frames from files and live sources at the rate a model wants, prepared as its weights say.

`transform` prepares pixels, `decode` reads files and image folders, `live` plays cameras and addresses; beneath them
`pacer` decides which frames are wanted, `timing` when each is shown, `selection` which packets that takes, `container`
decodes what `locations` opens, and `pixels` makes RGB as a player shows it.
"""
