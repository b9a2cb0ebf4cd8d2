"""Name the papers of the methods that a report rests on; a record for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from reports.sections import images

if TYPE_CHECKING:
    from reports.content import ReportContent


class Reference(NamedTuple):
    """Hold a paper, and when it is to be cited."""

    what: str
    """What it is cited for."""
    paper: str
    applies: Callable[[ReportContent], bool] = lambda _: True


def of_network(*beginnings: str) -> Callable[[ReportContent], bool]:
    """Give the rule that a network's name begins like this."""
    return lambda content: content.architecture.removeprefix("tf_").startswith(beginnings)


def setting(flag: str, value: str) -> Callable[[ReportContent], bool]:
    """Give the rule that a flag has a value."""
    return lambda content: any(each.get(flag) == value for each in content.settings.values())


def references(content: ReportContent) -> list[Reference]:
    """Give those that are to be cited, in the order of the list."""
    return [each for each in REFERENCES if each.applies(content)]


REFERENCES = (
    Reference(
        "the network",
        "Xie S, Girshick R, Dollár P, Tu Z, He K. Aggregated residual transformations for deep "
        "neural networks. CVPR 2017. doi:10.1109/CVPR.2017.634",
        of_network("resnext"),
    ),
    Reference(
        "the network",
        "Tan M, Le QV. EfficientNet: rethinking model scaling for convolutional neural networks. "
        "ICML 2019. arXiv:1905.11946",
        of_network("efficientnet"),
    ),
    Reference(
        "the network",
        "Huang G, Liu Z, van der Maaten L, Weinberger KQ. Densely connected convolutional "
        "networks. CVPR 2017. doi:10.1109/CVPR.2017.243",
        of_network("densenet"),
    ),
    Reference(
        "the network",
        "He K, Zhang X, Ren S, Sun J. Identity mappings in deep residual networks. ECCV 2016. "
        "arXiv:1603.05027",
        of_network("resnetv2"),
    ),
    Reference(
        "the network",
        "Liu Z, Mao H, Wu C-Y, Feichtenhofer C, Darrell T, Xie S. A ConvNet for the 2020s. CVPR "
        "2022. arXiv:2201.03545",
        of_network("convnext"),
    ),
    Reference(
        "probes on a frozen network",
        "Alain G, Bengio Y. Understanding intermediate layers using linear classifier probes. "
        "2016. arXiv:1610.01644",
        setting("--method", "probe"),
    ),
    Reference(
        "the optimizer",
        "Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019. "
        "arXiv:1711.05101",
        setting("--optimizer", "adamw"),
    ),
    Reference(
        "intervals of shares",
        "Wilson EB. Probable inference, the law of succession, and statistical inference. J Am "
        "Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953",
    ),
    Reference(
        "effective numbers of images in groups",
        "Dean N, Pagano M. Evaluating confidence interval methods for binomial proportions in "
        "clustered surveys. J Surv Stat Methodol 2015;3:484-503. doi:10.1093/jssam/smv024",
    ),
    Reference(
        "intervals of AUROC over groups",
        "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics "
        "1997;53:567-578. doi:10.2307/2533958",
    ),
    Reference(
        "draws of whole groups",
        "Field CA, Welsh AH. Bootstrapping clustered data. J R Stat Soc B 2007;69:369-390. "
        "doi:10.1111/j.1467-9868.2007.00593.x",
    ),
    Reference(
        "calibration error and temperature",
        "Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML "
        "2017. arXiv:1706.04599",
    ),
    Reference(
        "heat maps",
        "Selvaraju RR, Cogswell M, Das A, Vedantam R, Parikh D, Batra D. Grad-CAM: visual "
        "explanations from deep networks via gradient-based localization. ICCV 2017. "
        "arXiv:1610.02391",
        images.has_maps,
    ),
    Reference(
        "the checklist TRIPOD+AI",
        "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for "
        "reporting clinical prediction models that use regression or machine learning methods. "
        "BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378",
        lambda content: content.is_medical,
    ),
    Reference(
        "the checklist CLAIM",
        "Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical "
        "Imaging (CLAIM): 2024 update. Radiol Artif Intell 2024;6:e240300. "
        "doi:10.1148/ryai.240300",
        lambda content: content.is_medical,
    ),
)
