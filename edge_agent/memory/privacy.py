"""The filter of what is never remembered: texts with something personal in them.

Found are addresses of mail and web accounts, telephone, card and account numbers, identity numbers,
network addresses, street addresses, coordinates, dates of birth, secrets and keys, and phrases in
which people speak of themselves and their own ("my password", "my diagnosis").

What it cannot promise: that a text without any of these is not personal. A name alone is no
finding, since most questions about the world have one; neither is a story that only those who know
the person recognise, nor anything in a language other than English that has none of these forms.
Where that is not enough, ``memory.owners: apart`` keeps memories apart, or no memory is kept.
"""

from __future__ import annotations

import re
from typing import Final

_FORMS: Final = {
    "mail address": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "account name": r"(?<![\w@])@[A-Za-z_]\w{2,}",
    "account number": r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?\b",
    "card number": r"\b(?:\d[ -]?){13,19}\b",
    "identity number": r"\b\d{3}-\d{2}-\d{4}\b",
    "telephone number": r"(?<!\w)(?:\+|00)\d{1,3}[ ()./-]*(?:\d[ ()./-]*){6,12}\d\b"
    r"|\b\(?0?\d{2,5}\)?[ /-]\d{3,4}[ -]\d{3,5}\b",
    "network address": r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b",
    "street address": r"\b\d{1,5}[a-z]?\s+(?:[A-Z][\w'-]+\s+){1,3}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Boulevard|Blvd|Court|Way)\b"
    r"|\b[A-Z][\w-]+(?:straße|strasse|gasse|weg|platz)\s+\d{1,4}\b",
    "coordinates": r"[-+]?\d{1,3}\.\d{4,}\s*[,;]\s*[-+]?\d{1,3}\.\d{4,}",
    "date of birth": r"(?i:\b(?:date of birth|d\.?o\.?b\.?|born on|i was born)\b)",
    "secret": r"(?i:\b(?:password|passphrase|passcode|pin code|api[ _-]?key|secret key|token)\b"
    r"\s*(?:is|=|:)\s*\S+)"
    r"|\b(?:sk|pk|ghp|xox[abp])[-_][A-Za-z0-9-_]{16,}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "something of one's own": r"(?i:\b(?:my|our|mine)\s+(?:\w+\s+){0,2}(?:name|address|password|"
    r"phone|number|email|mail|account|salary|income|debt|diagnosis|illness|disease|medication|"
    r"pregnancy|therapy|doctor|lawyer|boss|wife|husband|partner|son|daughter|child|children|"
    r"mother|father|passport|licence|license|insurance|birthday|religion|ex)\b)"
    r"|(?i:\bi(?:'m| am| was)\s+(?:pregnant|diagnosed|depressed|gay|divorced|arrested|infected)\b)",
}
_CHECKS: Final = {name: re.compile(form) for name, form in _FORMS.items()}
_DOUBLED: Final = 9


def personal(text: str) -> str:
    """Return the name of what is personal in a text; empty where nothing was found."""
    for name, form in _CHECKS.items():
        for found in form.finditer(text):
            if name != "card number" or _is_card(found.group()):
                return name
    return ""


def _is_card(text: str) -> bool:
    """Return whether digits pass the check that card numbers pass (Luhn)."""
    digits = [int(each) for each in text if each.isdigit()]
    total = 0
    for place, digit in enumerate(reversed(digits)):
        worth = digit * 2 if place % 2 else digit
        total += worth - _DOUBLED if worth > _DOUBLED else worth
    return total % 10 == 0
