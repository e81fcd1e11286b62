"""Runs a service as a later version of it: templates have one more field, optional and with a default.

    python -m tests.faults.later_version overt.embed

It is a process of its own with its own contract; whoever reads its templates must know the field.
"""

import runpy
import sys
from typing import Annotated

import msgspec

from overt.contracts import messages

ADDED = "of_a_later_version"


class TemplateMade(messages.TemplateMade, frozen=True, tag="template_made.v1"):
    """A template as it could be after this version. The tag stays: an old one reads as a new one."""

    of_a_later_version: Annotated[str, msgspec.Meta(max_length=20)] = "yes"


def main(module: str) -> None:
    """Run `module` with that message in place of this version's."""
    # Before anything else takes the name over from there.
    vars(messages)["TemplateMade"] = TemplateMade
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv.pop(1))
