"""Say where a report answers the items of two checklists for papers; a record for each item.

The numbers are the official ones, the words our own. What a report can't know, such as who
approved a study, is left to the author.

Source: Collins et al. 2024 (TRIPOD+AI), https://doi.org/10.1136/bmj-2023-078378
Source: Tejani et al. 2024 (CLAIM 2024 Update), https://doi.org/10.1148/ryai.240300
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.sections import images

if TYPE_CHECKING:
    from reports.content import ReportContent

AUTHOR = "The author must say."


class Item(NamedTuple):
    """Hold an item of a checklist."""

    number: str
    asks: str
    at: str = ""
    """The section of the report that answers it, empty where only the author can."""
    says: str = AUTHOR
    """What stands there, and what remains for the author."""
    needs: str = ""
    """What the section must hold besides, see `filled_in`."""


class Checklist(NamedTuple):
    """Hold a checklist with its items."""

    name: str
    about: str
    source: str
    items: Sequence[Item]


TRIPOD = Checklist(
    "TRIPOD+AI",
    "for studies that develop or evaluate a prediction model",
    "Collins et al. 2024, doi:10.1136/bmj-2023-078378",
    (
        Item("1", "Title: a prediction model, its target population and outcome"),
        Item("2", "Abstract by the TRIPOD+AI list for abstracts"),
        Item("3a", "Background: the setting in health care, and models that exist"),
        Item("3b", "Target population, purpose in the path of care, users"),
        Item("3c", "Known inequalities of health between groups of people"),
        Item("4", "Aims: development, evaluation, or both"),
        Item("5a", "Sources of the data", "data", "What is in the folder. The author: where from."),
        Item("5b", "Dates of the data"),
        Item("6a", "Setting and centres"),
        Item("6b", "Who was eligible"),
        Item("6c", "Treatments, where they matter"),
        Item(
            "7",
            "Preparation and checks of the data",
            "data",
            "Unusable files, identical and near-identical images, label conflicts, image size.",
        ),
        Item("8a", "The outcome, and how it was found", "asked", "The classes. The author: how."),
        Item("8b", "Who judged the outcome"),
        Item("8c", "Blinding of those who judged it"),
        Item("9a", "Choice of predictors", "recipe", "The pixels of the image alone."),
        Item("9b", "Definition of predictors", "recipe", "Image size. The author: the cameras."),
        Item("9c", "Who judged predictors", "recipe", "Nobody: the network reads the pixels."),
        Item(
            "10",
            "Sample size and its reason",
            "score",
            "How many more groups a firm score needs. The author: the reason.",
        ),
        Item(
            "11",
            "Missing data",
            "data",
            "Files that could not be used, with reasons. No value was filled in.",
        ),
        Item("12a", "How data were shared out", "data", "Parts, strategy, and what leaks."),
        Item("12b", "Handling of predictors", "recipe", "Fitting, augmentation."),
        Item("12c", "Type of model, building, internal validation", "recipe", "All settings."),
        Item(
            "12d",
            "Differences between clusters",
            "score",
            "Intervals take the group as the unit. The author: centres.",
        ),
        Item("12e", "Measures and plots", "score", "Each measure with its meaning."),
        Item("12f", "Updating of the model", "score", "The temperature, where one was fitted."),
        Item("12g", "How predictions were calculated", "reproduce", "The command, the weights."),
        Item("13", "Class imbalance", "recipe", "Class weights and sampler."),
        Item("14", "Fairness", "subgroups", "The score of each subgroup. The author: why these."),
        Item("15", "Output and threshold", "score", "Probabilities, and how the threshold came."),
        Item("16", "Differences between training and evaluation data", "data", "Images by part."),
        Item("17", "Approval by an ethics committee"),
        Item("18a", "Funding"),
        Item("18b", "Conflicts of interest"),
        Item("18c", "Protocol"),
        Item("18d", "Registration"),
        Item("18e", "Access to the data"),
        Item("18f", "Access to the code", "reproduce", "The command. The author: where it is."),
        Item("19", "Involvement of patients and the public"),
        Item("20a", "Flow of participants", "data", "Images and groups. The author: persons."),
        Item("20b", "Characteristics of participants"),
        Item("20c", "Comparison with the training data", "data", "Classes by part."),
        Item("21", "Numbers in each analysis", "data", "Images and groups by class and part."),
        Item("22", "The full model", "files", "The weights and the model card."),
        Item("23a", "Performance with intervals", "score", "All measures, and those by class."),
        Item("23b", "Differences between clusters, if examined", "subgroups", "Gaps, intervals."),
        Item(
            "24", "Results of updating", "figures", "Reliability before and after.", "temperature"
        ),
        Item("25", "Interpretation"),
        Item("26", "Limits", "limits", "Those of the method. The author: those of the study."),
        Item("27a", "Input of poor quality", "uncertainty", "Referral. The author: what is done."),
        Item("27b", "What users must do and know"),
        Item("27c", "Next steps"),
    ),
)
CLAIM = Checklist(
    "CLAIM 2024",
    "for papers on artificial intelligence in medical imaging",
    "Tejani et al. 2024, doi:10.1148/ryai.240300",
    (
        Item("1", "Title: artificial intelligence, and of which kind"),
        Item("2", "Abstract: design, methods, results, conclusions"),
        Item("3", "Background, intended use and role"),
        Item("4", "Aims and hypotheses"),
        Item("5", "Prospective or retrospective"),
        Item("6", "Goal of the study"),
        Item("7", "Sources of the data", "data", "What is in the folder. The author: where from."),
        Item("8", "Criteria of inclusion and exclusion"),
        Item("9", "Preprocessing", "recipe", "Image size, fitting, augmentation."),
        Item("10", "Selection of subsets", "data", "Images that were left out, with reasons."),
        Item("11", "De-identification"),
        Item("12", "Missing data", "data", "Files that could not be used, with reasons."),
        Item("13", "How images were acquired", "data", "Formats and sizes. The author: the rest."),
        Item("14", "Reference standard: how it was obtained"),
        Item("15", "Reference standard: why this one"),
        Item("16", "Source of the annotations"),
        Item("17", "Annotation of the test set"),
        Item("18", "Agreement between and within raters"),
        Item("19", "How data were assigned to parts", "data", "Strategy and shares."),
        Item("20", "Level at which parts are apart", "data", "How groups were found; what leaks."),
        Item("21", "Intended sample size", "score", "How many more groups a firm score needs."),
        Item("22", "The model in detail", "recipe", "The network's name, input and weights."),
        Item("23", "Software", "environment", "Versions of the packages."),
        Item("24", "First values of the parameters", "recipe", "--weights and --seed."),
        Item("25", "Training", "recipe", "Augmentation, rates, epochs, and all other settings."),
        Item("26", "Choice of the final model", "recipe", "--keep and --metric."),
        Item("27", "Ensembles", "recipe", "--final and --views, where there are any."),
        Item("28", "Measures of performance", "score", "Each with its meaning."),
        Item("29", "Uncertainty", "score", "95 % intervals over groups."),
        Item("30", "Robustness or sensitivity", "shortcuts", "Cues, and covered images."),
        Item("31", "Explanation", "heat-maps", "Grad-CAM over mistakes and right answers.", "maps"),
        Item("32", "Evaluation on internal data", "score", "The test part."),
        Item("33", "Testing on external data"),
        Item("34", "Registration of a clinical trial"),
        Item("35", "Numbers included and excluded", "data", "Images. The author: persons."),
        Item("36", "Characteristics of cases in each part", "data", "Classes. The author: people."),
        Item("37", "Performance with uncertainty", "score", "All measures with intervals."),
        Item("38", "Diagnostic performance and its precision", "classes", "Those of each class."),
        Item("39", "Analysis of mistakes", "heat-maps", "The most confident mistakes."),
        Item("40", "Limits", "limits", "Those of the method. The author: those of the study."),
        Item("41", "Meaning for practice"),
        Item("42", "Protocol or further technical details", "recipe", "All settings."),
        Item("43", "Access to software, model and data"),
        Item("44", "Funding, and the role of those who paid"),
    ),
)
CHECKLISTS = (TRIPOD, CLAIM)


def filled_in(content: ReportContent) -> list[dict[str, Any]]:
    """Give each checklist with its items as this report answers them; none where no patients are.

    `answered` counts the items of which something stands in the report.
    """
    there = {
        "heat-maps": content.explained is not None,
        "subgroups": content.subgroups is not None,
        "shortcuts": content.shortcuts is not None,
        "uncertainty": content.metrics.get("uncertainty") is not None,
        "maps": images.has_maps(content),
        "temperature": (content.calibration or {}).get("fitted_on") is not None,
    }
    absent = {what for what, is_there in there.items() if not is_there}
    found = []
    for each in CHECKLISTS if content.is_medical else ():
        items = [item[:2] if {item.at, item.needs} & absent else item for item in each.items]
        rows = [Item(*item)._asdict() for item in items]
        answered = sum(bool(row["at"]) for row in rows)
        found.append(each._asdict() | {"items": rows, "answered": answered})
    return found
