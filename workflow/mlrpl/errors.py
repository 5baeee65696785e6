"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """Bad input: one line that names the file or key, the fault and the remedy.

    The command line prints the message without a traceback and exits with 1; every
    other exception is a defect of this package and keeps its traceback.
    """
