"""Unit tests, which require no containers. Run with: python3 -m unittest discover qa/conformance/compose"""

import unittest

from confinement import CAPABILITIES, EXPECTED, excess_privileges


def process(user="65532", capabilities="0" * 16, root="ro"):
    ids = "\t".join([user] * 4)
    sets = "".join(f"{name}:\t{capabilities}\n" for name in CAPABILITIES)
    mounts = f"1 2 0:30 / / {root},relatime - overlay overlay rw\n2 1 0:31 / /proc rw - proc proc rw\n"
    return f"Uid:\t{ids}\nGid:\t{ids}\nNoNewPrivs:\t1\n{sets}", mounts


class Confinement(unittest.TestCase):
    def test_confined_process_is_accepted(self):
        self.assertEqual(excess_privileges(*process()), [])

    def test_root_user_capabilities_and_writable_root_are_reported(self):
        excess = excess_privileges(*process("0", "00000000a80425fb", "rw"))
        self.assertEqual(len(excess), 8, excess)
        self.assertEqual(excess[0], "Uid is '0 0 0 0', not '65532 65532 65532 65532'")
        self.assertEqual(excess[7], "its root file system is writable")

    def test_missing_values_are_reported(self):
        self.assertEqual(len(excess_privileges("", "")), len(EXPECTED) + 1)


if __name__ == "__main__":
    unittest.main()
