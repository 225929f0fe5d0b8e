"""The errors a user can do something about."""


class MovinetError(ValueError):
    """Bad input: the message says what was wrong, where, and what to do. The command line prints it, exit code 2."""


class VideoError(MovinetError):
    """A video or live source could not be opened or read."""


class WeightsError(MovinetError):
    """A weights file, checkpoint or download is missing, damaged or does not fit the network."""


class SpecError(MovinetError):
    """A network specification contradicts itself."""
