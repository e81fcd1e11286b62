"""Says why bytes could not be decoded without repeating anything that stood in them."""

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError)


def why(error: msgspec.DecodeError | UnicodeDecodeError, encoding: str) -> str:
    """Return one line for logs and dead letters: the place and the rule, never the content."""
    if isinstance(error, UnicodeDecodeError):
        return "invalid: a text is not UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return f"invalid: {_without_content(str(error))}"
    return f"not {encoding}"


def _without_content(text: str) -> str:
    # The two texts of msgspec that quote what was decoded; all others quote the expected type alone.
    if text.startswith("Object contains unknown field"):
        return "Object contains an unknown field"
    if text.startswith(("Invalid value ", "Invalid enum value ")):
        # Both always end with the place; what comes before is the value and may contain anything.
        return f"Value is none of the allowed ones - at {text.rpartition(' - at ')[2]}"
    return text
