"""What was found, compared with what was expected."""

import sys


class Facts:
    def __init__(self):
        self.held, self.failed = 0, []

    def equal(self, what, found, wanted):
        if found == wanted:
            self.held += 1
        else:
            self.failed.append(f"{what}: expected {wanted!r}, found {found!r}")

    def true(self, what, found):
        self.equal(what, bool(found), True)

    def judge(self):
        """Ends the program where a fact does not hold."""
        if self.failed:
            sys.exit("\n".join(self.failed))
