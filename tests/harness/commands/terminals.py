"""A terminal of a few lines: what is on it after what was written, with the sequences that rich uses."""

import re

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")


class Screen:
    """Rows of text; grows downwards. A sequence that it does not know is an error."""

    def __init__(self) -> None:
        self.rows = [""]
        self.row = self.column = 0
        self.colours = set()
        """Parameters of every SGR sequence."""

    def feed(self, text: str) -> None:
        for match in _TOKEN.finditer(text):
            token, (parameters, letter) = match.group(), match.groups()
            if token == "\r":
                self.column = 0
            elif token == "\n":
                self.row, self.column = self.row + 1, 0
                if self.row == len(self.rows):
                    self.rows.append("")
            elif letter == "A":
                self.row = max(0, self.row - int(parameters or 1))
            elif (letter, parameters) == ("K", "2"):
                self.rows[self.row] = ""
            elif letter == "m":
                self.colours.add(parameters)
            elif letter is None and token != "\x1b":
                row = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = row[: self.column] + token + row[self.column + len(token) :]
                self.column += len(token)
            else:
                raise AssertionError(f"not expected: {token!r}")

    def reflow(self, width: int) -> None:
        """Become narrower, as most terminals do: longer rows are wrapped, the cursor stays in its text."""
        rows, row = [], self.row
        for number, text in enumerate(self.rows):
            parts = [text[at : at + width] for at in range(0, len(text), width)] or [""]
            if number < self.row:
                row += len(parts) - 1
            elif number == self.row:
                row += len(parts) - 1
                self.column = len(parts[-1])
            rows += parts
        self.rows, self.row = rows, row

    @property
    def shown(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]
