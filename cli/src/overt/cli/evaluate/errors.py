"""What an evaluation refuses: said in one line, exit code 2."""


class EvaluationRefused(ValueError):
    """The data set, an option or a file is not what an evaluation can work with."""
