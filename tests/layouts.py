"""The rows and signals of profiles that read numbers, as most tests use them."""

from __future__ import annotations

from detector.profile.artefact import client_row, group_row
from features import NUMBERS

CLIENT_ROW, GROUP_ROW = client_row(NUMBERS), group_row(NUMBERS)
