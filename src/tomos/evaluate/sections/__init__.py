"""The parts of a report, in reading order; each gives HTML, or "" when it has nothing to show."""
