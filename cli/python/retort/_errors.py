"""The errors of this package. `.code` is the exit code that the program ends with for the same reason."""


class Error(Exception):
    """What is neither a matter of settings nor of files: 1 an error of ours, 5 a loss that is not finite, 6 no memory."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class SettingsError(Error, ValueError):
    """A method, setting or array that is not known or does not fit (code 2 or 3)."""


class FileError(Error, OSError):
    """A file that is missing, unreadable or damaged (code 3)."""

    def __str__(self) -> str:
        return str(self.args[0])
