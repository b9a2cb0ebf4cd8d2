"""Say when a heat map shows something: reports and the page to try a model keep to one limit."""

COARSE = 4
"""With fewer places a side than this, a map shows nothing."""
