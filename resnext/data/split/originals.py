"""Tell originals from the augmented copies that a data set was stored with."""

import pandas as pd


def originals(split: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a split (path, label, copy, ...) that are no augmented copies.

    Of a class that holds nothing but copies, all rows.
    """
    original = split["copy"].fillna(0) == 0
    alone = ~split["label"].isin(split.loc[original, "label"])
    return split[original | alone]
