"""The one error the fleet shows to a person: a sentence that says what is wrong and what to do."""


class FleetError(Exception):
    """The fleet cannot do what was asked.

    Args:
        sentence: one clear sentence for the person at the terminal: what happened, what to do.
        log_tail: last lines of the log that explains it, shown under the sentence.
    """

    def __init__(self, sentence: str, *, log_tail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.log_tail = log_tail
