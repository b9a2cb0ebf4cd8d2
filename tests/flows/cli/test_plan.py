import errno
import os
import subprocess
import sys
import unicodedata
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows import full_pipeline
from flows.cli import plan as plans
from flows.cli import run as command
from flows.cli.flags import DataFlags, EvaluationFlags, SplitFlags, TrainingFlags
from flows.cli.plan import Plan, require_positive, resolve
from flows.full_pipeline import RunFlags
from reports.evaluation.settings import EvaluationSettings
from resnext.contracts.errors import InputError
from resnext.data.manifest.settings import ReadingSettings
from tasks.stage.artifact import Artifact
from tests.conftest import REPOSITORY

# The flags that scripts rely on.
CONTRACT = """
    --data --store --config --preset --arch --weights --image-size --epochs --batch-size --lr
    --optimizer --split --shares --group-pattern --seed --split-seed --device --workers --only
    --predict --deterministic --verify --fold --groups --use-split --keep-split --hold-out-copies
    --momentum --weight-decay --schedule --warmup-epochs --step-epochs --step-factor --accumulate
    --clip-norm --ema-decay --freeze-epochs --freeze-stages --layer-decay
    --zero-init-head --label-smoothing --class-weights --sampler --augment
    --mixup --cutmix --keep --metric --patience --positive --sensitivity --threshold
    --decisions --find-doubts --prevalence --max-error --set-level --attributes
"""


def plan(
    data: Path | None = None,
    split: SplitFlags = SplitFlags(),
    training: TrainingFlags = TrainingFlags(),
    run: RunFlags = RunFlags(),
) -> Plan:
    return resolve(DataFlags(data=data), split, training, run)


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = command.run_command(full_pipeline.main, name="full_pipeline.py", arguments=words)
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1, "one line"
    return error


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    code = command.run_command(full_pipeline.main, name="full_pipeline.py", arguments=["--help"])
    shown = capsys.readouterr().out
    assert code == 0
    assert [flag for flag in CONTRACT.split() if flag not in shown] == []
    assert "Commands" not in shown, "no box for what every program answers"


@pytest.mark.parametrize("name", ["full_pipeline", "retrain", "predict", "compare"])
def test_help_and_version_are_answered_before_prefect_is_imported(name: str) -> None:
    code = (
        "import runpy, sys; sys.argv = ['x', '--version']\n"
        f"try: runpy.run_path('flows/{name}.py', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, 'prefect' in sys.modules)"
    )
    words = [sys.executable, "-c", code]
    shown = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert shown.split() == [version("resnext-pipeline"), "0", "False"]


def test_the_completion_of_a_shell_knows_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    words = ["--install-completion"]
    assert command.run_command(full_pipeline.main, name="full_pipeline.py", arguments=words) == 0
    (script,) = tmp_path.rglob("completions/full_pipeline")
    assert "--near-duplicates" in script.read_text()


def test_the_seed_preset_is_the_script_that_the_project_began_as() -> None:
    seed = plan(training=TrainingFlags(preset="seed"))
    assert seed.recipe.model_dump() == {
        "arch": "resnext38_32x4d", "weights": "none", "image_size": 224, "epochs": 20,
        "batch_size": 32, "lr": 1e-4, "zero_init_residual": False,
        "zero_init_head": False, "head_lr": 1.0,
        "optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant",
        "warmup_epochs": 0.0, "step_epochs": 10, "step_factor": 0.1, "accumulate": 1,
        "clip_norm": 0.0, "ema_decay": 0.0, "freeze_epochs": 0, "freeze_stages": 0,
        "layer_decay": 1.0, "class_weights": "none",
        "sampler": "shuffled", "mixup": 0.0, "cutmix": 0.0, "metric": "val_loss", "patience": 0,
        "label_smoothing": 0.0, "augment": "none", "keep": "last", "seed": 0, "method": "network",
        "views": "mirror", "fit": "stretch",
    }  # fmt: skip
    assert (seed.split.strategy, seed.split.shares) == ("random", (80, 0, 20))


def test_the_default_is_a_recipe_that_learns() -> None:
    recipe = plan().recipe
    assert (recipe.arch, recipe.image_size, recipe.epochs) == ("resnext50_32x4d", 224, 30)
    assert (recipe.batch_size, recipe.optimizer, recipe.schedule) == (32, "adamw", "cosine")
    assert recipe.augment == "full"
    assert recipe.label_smoothing > 0
    assert recipe.warmup_epochs > 0
    assert plan().split.shares == (70, 10, 20)


@pytest.mark.parametrize(
    ("flags", "network"),
    [
        ({}, ("resnext50_32x4d", 224)),
        ({"preset": "quick"}, ("resnext38_32x4d", 64)),
        ({"preset": "quick", "weights": "imagenet"}, ("resnext50_32x4d", 64)),
        ({"preset": "quick", "weights": "bundled"}, ("tf_efficientnet_lite2", 64)),
        ({"weights": "bundled"}, ("tf_efficientnet_lite2", 260)),
        ({"preset": "transfer"}, ("tf_efficientnet_lite2", 260)),
        ({"preset": "finetune"}, ("tf_efficientnet_lite2", 260)),
        ({"preset": "auto"}, ("tf_efficientnet_lite2", 260)),
        ({"preset": "finetune", "weights": "imagenet"}, ("resnext50_32x4d", 224)),
        ({"weights": "timm/resnext101_64x4d.tv_in1k"}, ("resnext101_64x4d", 224)),
        ({"arch": "tf_efficientnet_lite1"}, ("tf_efficientnet_lite1", 240)),
        ({"arch": "vit_tiny_patch16_224", "preset": "quick"}, ("vit_tiny_patch16_224", 224)),
        ({"arch": "densenet121", "image_size": 96}, ("densenet121", 96)),
    ],
)
def test_weights_choose_their_network_and_a_network_its_image_size(
    flags: dict[str, Any], network: tuple[str, int]
) -> None:
    recipe = resolve(TrainingFlags(**flags)).recipe
    assert (recipe.arch, recipe.image_size) == network
    assert plans.name_of(TrainingFlags(**flags)).endswith(f", {network[0]}")


def test_a_network_without_residual_blocks_is_trained_by_the_quick_preset_without_their_start() -> (
    None
):
    assert resolve(TrainingFlags(preset="quick")).recipe.zero_init_residual
    assert not resolve(TrainingFlags(preset="quick", arch="densenet121")).recipe.zero_init_residual


def test_a_flag_wins_over_the_preset_and_the_two_seeds_are_two_flags() -> None:
    flags = TrainingFlags(preset="seed", epochs=30, lr=1e-3, seed=3)
    made = plan(split=SplitFlags(split_seed=7), training=flags)
    assert (made.recipe.epochs, made.recipe.lr, made.recipe.optimizer) == (30, 1e-3, "sgd")
    assert (made.split.seed, made.recipe.seed) == (7, 3)


def test_a_config_file_gives_values_and_a_flag_wins_over_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('epochs = 0\nimage-size = 64\nsplit = "random"\n')
    assert "--epochs must be at least 1" in complaint(["--config", str(file)], capsys)
    words = [f"--config={file}", "--epochs", "3", "--image-size", "8"]
    assert "--image-size must be at least 32, got 8" in complaint(words, capsys)
    file.write_text("epoch = 3\n")
    assert "epoch" in complaint(["--config", str(file)], capsys), "an unknown key"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--data /no/such/folder", "--data must be a folder of class folders, got '/no/such/"),
        ("--arch resnext5O_32x4d", "Did you mean resnext50_32x4d or"),
        ("--batch-size 0", "--batch-size must be at least 1, got 0"),
        ("--epochs x", "--epochs must be a valid integer, got 'x'"),
        ("--lr nan", "--lr must be a finite number"),
        ("--lr 0", "--lr must be greater than 0"),
        ("--shares 1,2", "--shares must be three numbers, got '1,2'"),
        ("--shares 50,20,20", "--shares must be three percentages that sum to 100"),
        ("--group-pattern (", "--group-pattern must be a regular expression"),
        ("--split folds", "--split must be 'grouped', 'stratified', 'random' or 'given'"),
        ("--fold 6/5", "--fold must be I/K with K at least 2"),
        ("--fold five", "--fold must be two whole numbers, got 'five'"),
        ("--fold 1/5 --split random", "--fold must go with the strategy grouped or stratified"),
        ("--fold 1/5 --keep-split /no/such.csv", "--keep-split must not go with --fold"),
        ("--use-split a.csv --shares 60,20,20", "--use-split must not go with --shares"),
        ("--use-split a.csv --split grouped", "--use-split must not go with --split"),
        ("--keep-split a.csv --split random", "--keep-split must go with --split grouped or"),
        ("--keep-split a.csv --preset seed", "--keep-split must go with --split grouped or"),
        ("--groups /no/such.csv", "--groups must be a CSV file, got '/no/such.csv'"),
        ("--attributes /no/such.csv", "--attributes must be a CSV file, got '/no/such.csv'"),
        ("--decisions /no/such.csv", "--decisions must be a CSV file, got '/no/such.csv'"),
        ("--split-seed -1", "--split-seed must be at least 0"),
        ("--max-pixels 999999", "--max-pixels must be at least 1000000, got 999999"),
        ("--max-pixels 3000000000", "--max-pixels must be less than or equal to 2000000000"),
        ("--truncated yes", "--truncated must be 'quarantine' or 'keep', got 'yes'"),
        ("--sensitivity 1", "--sensitivity must be less than 1, got"),
        ("--sensitivity 0", "--sensitivity must be greater than 0, got"),
        ("--prevalence 1", "--prevalence must be less than 1, got"),
        ("--only nothing", "--only must be 'scan', 'split'"),
        ("--weights /no/such.pth", "There is nothing at that place"),
        ("--weights /", "There is a folder at that place"),
        ("--only embed", "--only must go with --method probe, got embed"),
        ("--method probe", "--weights must be given for --method probe, got none"),
        (
            "--arch resnext38_32x4d --weights imagenet",
            "--weights imagenet must go with a network that has them",
        ),
        (
            "--arch resnet50 --weights timm/vgg11.tv_in1k",
            "--weights timm/vgg11.tv_in1k must go with --arch vgg11, got resnet50",
        ),
        (
            "--arch vit_tiny_patch16_224 --image-size 64",
            "--image-size must be 224, the only size that vit_tiny_patch16_224 takes, got 64",
        ),
        ("--config /no/such.toml", "--config must be a TOML file"),
        ("--workers -1", "--workers must be at least 0"),
        ("--group-pattern (?P<group>a{99999999999})", "--group-pattern must be a regular"),
        ("--batch-size 1 --image-size 32", "--batch-size must be at least 2 below 64 px"),
        ("--store /dev/null/store", "--store must be a folder that can be written to"),
        ("--predict /no/such", "--predict must be an image or a folder"),
        ("--no-such-flag", "--no-such-flag"),
        ("stray", "stray"),
    ],
)
def test_wrong_words_get_one_line_and_exit_code_2(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in complaint(words.split(), capsys)


def test_a_device_that_is_not_there_and_folders_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resnext.device.probe_driver", lambda: None)
    assert "got 'cuda'" in complaint(["--device", "cuda"], capsys)
    words = ["--data", str(tmp_path), "--store", str(tmp_path / "artifacts")]
    assert "--store must lie outside --data" in complaint(words, capsys)
    (tmp_path / "empty").mkdir()
    words = ["--predict", str(tmp_path / "empty")]
    assert "--predict must hold images" in complaint(words, capsys)


def test_a_folder_to_predict_may_be_links(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "today").symlink_to(tmp_path)
    assert resolve(
        DataFlags(data=tmp_path, predict=tmp_path / "inbox"),
        SplitFlags(), TrainingFlags(), RunFlags(store=tmp_path.parent / "store"),
    ).predict == (tmp_path / "inbox").resolve()  # fmt: skip


def divided(root: Path, *parts: str) -> Path:
    for part in parts or ("train", "Validation", "test"):
        for label in ("cat", "dog"):
            (root / part / label).mkdir(parents=True)
    return root


def test_a_folder_that_comes_divided_is_taken_as_it_is_unless_asked(tmp_path: Path) -> None:
    data = divided(tmp_path)
    assert plan(data).split.strategy == "given"
    for asked in (
        SplitFlags(split="stratified"),
        SplitFlags(shares="60,20,20"),
        SplitFlags(fold="2/5"),
    ):
        assert plan(data, asked).split.strategy != "given"
    assert plan(data, training=TrainingFlags(preset="seed")).split.strategy == "random"
    (tmp_path / "another" / "x").mkdir(parents=True)
    assert plan(data).split.strategy == "grouped"


def test_a_positive_class_is_found_however_its_name_is_composed(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "bénin") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).mkdir()
    for name in (composed, decomposed):
        flags = EvaluationFlags(positive=name)
        chosen = resolve(
            DataFlags(data=tmp_path), SplitFlags(), TrainingFlags(),
            RunFlags(store=tmp_path.parent / "store"), flags,
        ).evaluation  # fmt: skip
        require_positive(chosen, [composed, "cat"])


@pytest.mark.parametrize("other", ["test", "val"])
def test_validation_is_taken_out_of_a_train_part_unless_no_val_or_no_share_is_asked_for(
    tmp_path: Path, other: str
) -> None:
    data = divided(tmp_path, "train", other)
    for asked, carves in (
        (SplitFlags(), True),
        (SplitFlags(shares="60,20,20"), True),
        (SplitFlags(no_val=True), False),
        (SplitFlags(shares="80,0,20"), False),
    ):
        chosen = plan(data, asked).split
        assert (chosen.strategy, chosen.carve_val) == ("given", carves)
    assert plan(data, SplitFlags(split="grouped")).split.carve_val is False
    assert plan(data, SplitFlags(no_val=True)).command.endswith("--no-val")
    seed = plan(data, SplitFlags(split="given"), training=TrainingFlags(preset="seed"))
    assert (seed.split.strategy, seed.split.carve_val) == ("given", False)


def test_a_report_names_settings_by_their_flags_and_leaves_out_what_did_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = plan(tmp_path).flags_as_text()
    assert shown["images"]["--max-pixels"] == "200,000,000"
    assert shown["split"] | {"--split": "grouped", "--shares": "70,10,20"} == shown["split"]
    assert "--no-val" not in shown["split"]
    assert "--momentum" not in shown["training"]
    seed = plan(tmp_path, training=TrainingFlags(preset="seed")).flags_as_text()
    assert seed["training"]["--momentum"] == "0"
    given = plan(divided(tmp_path / "given", "train", "test"), SplitFlags(no_val=True))
    assert given.flags_as_text()["split"]["--no-val"] == "yes"
    command.run_command(full_pipeline.main, name="full_pipeline.py", arguments=["--help"])
    text = capsys.readouterr().out.split()
    named = {name for facts in (*shown.values(), *seed.values()) for name in facts}
    assert named <= {*text}


def test_a_report_lists_for_a_probe_what_counts_for_a_probe_and_views_for_it_alone() -> None:
    flags = TrainingFlags(preset="transfer", optimizer="sgd", views="d4")
    shown = resolve(flags).flags_as_text()["training"]
    assert [*shown] == [
        "--arch", "--weights", "--method", "--views", "--fit", "--image-size", "--epochs",
        "--batch-size", "--lr", "--weight-decay", "--schedule", "--warmup-epochs", "--ema-decay",
        "--label-smoothing", "--class-weights", "--sampler", "--seed",
    ]  # fmt: skip
    network = resolve(TrainingFlags(schedule="step")).flags_as_text()["training"]
    assert "--views" not in network
    assert {"--step-epochs", "--patience", "--augment", "--freeze-stages"} <= network.keys()
    assert (
        "--warmup-epochs"
        not in resolve(TrainingFlags(schedule="one-cycle")).flags_as_text()["training"]
    )


def test_a_report_says_where_the_weights_come_from_and_under_which_licence(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"weights")
    for given, said in (
        ({}, "none"),
        ({"preset": "transfer"}, "bundled (ImageNet, tf_efficientnet_lite2), licence Apache-2.0"),
        ({"weights": "imagenet"}, "imagenet (download.pytorch.org), licence BSD-3-Clause"),
        ({"weights": "timm/resnet50.a1_in1k"}, "timm/resnet50.a1_in1k, licence apache-2.0"),
        ({"weights": "timm/resnet50.mine"}, "timm/resnet50.mine, licence not known"),
        (
            {"weights": str(tmp_path / "mine.pth")},
            "mine.pth, a file whose licence you must check",
        ),
    ):
        shown = resolve(TrainingFlags.model_validate(given)).flags_as_text()
        assert shown["training"]["--weights"] == said


def test_validation_is_taken_out_of_a_table_too(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("path,split\n")
    table = SplitFlags(use_split=tmp_path / "one.csv")
    assert plan(split=table).split.carve_val
    assert not plan(split=table.model_copy(update={"no_val": True})).split.carve_val


def test_no_val_of_a_split_that_is_drawn_names_what_helps(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no_val must go with a split that comes") as caught:
        plan(tmp_path, SplitFlags(no_val=True))
    assert str(caught.value).endswith("give --shares 80,0,20.")
    assert plan(tmp_path, SplitFlags(shares="80,0,20")).split.splits == ["train", "test"]


def test_the_command_that_reproduces_a_run_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("path,group\n")
    flags = SplitFlags(hold_out_copies=True, groups=tmp_path / "groups.csv", fold="1/5")
    words = plan(divided(tmp_path / "data"), flags).command
    assert words.endswith(f"--groups {tmp_path / 'groups.csv'} --hold-out-copies --fold 1/5")


def test_a_table_and_a_file_of_weights_are_known_by_their_bytes(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("path,split\n")
    one, two = (
        plan(split=SplitFlags(use_split=tmp_path / f"{name}.csv")) for name in ("one", "two")
    )
    assert one.split.strategy == "given"
    assert one.tables.given is not None
    assert two.tables.given is not None
    assert list(one.tables.given.files.values()) == list(two.tables.given.files.values())
    before = plan(training=TrainingFlags(weights=str(tmp_path / "one.csv")))
    assert before.recipe.weights == "file"
    (tmp_path / "one.csv").write_bytes(b"two")
    assert before.weights != plan(training=TrainingFlags(weights=str(tmp_path / "one.csv"))).weights


def test_what_lies_beside_a_split_to_keep_is_read_with_it(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("path,group,split\n")
    flags = SplitFlags(keep_split=tmp_path / "split.csv")
    assert plan(split=flags).tables[2:] == (Artifact.of_file(tmp_path / "split.csv"), None, None)
    beside = [tmp_path / "manifest.csv", tmp_path / "joined_groups.json"]
    for path in beside:
        path.write_text("{}")
    assert plan(split=flags).tables[3:] == tuple(map(Artifact.of_file, beside))


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, 1, "error: The disk or a quota is full ([Errno "),
        *(
            (number, 2, "error: Files must be open to this user, got [Errno ")
            for number in (errno.EROFS, errno.EACCES, errno.EPERM)
        ),
        (errno.ENAMETOOLONG, 2, "error: Paths must be short enough for this system, got [Errno "),
    ],
)
def test_a_full_disk_and_files_that_may_not_be_written_are_told_in_a_line(
    number: int, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        raise OSError(number, os.strerror(number), "/store/registry/registry.lock")

    assert command.run_command(write, name="x", arguments=[]) == code
    said = capsys.readouterr().err
    assert said.startswith(words)
    assert "/store/registry/registry.lock" in said
    assert said.count("\n") == 1


def test_a_store_whose_name_holds_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^store must be a folder that can be written to"):
        plans.store_folder(tmp_path / "a\0b")


def test_bounds_hold_for_the_form_too() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        plan(training=TrainingFlags(epochs=0))


def test_each_group_of_flags_is_part_of_the_plan_and_of_the_command_that_gives_it_again(
    tmp_path: Path,
) -> None:
    made = resolve(
        DataFlags(data=tmp_path, max_pixels=300_000_000, truncated="keep"),
        SplitFlags(split="stratified", shares="60,20,20", near_duplicates="report"),
        TrainingFlags(preset="quick", epochs=3, lr=0.01),
        RunFlags(),
        EvaluationFlags(positive="sick people", sensitivity=0.9),
    )
    assert made.reading == ReadingSettings(max_pixels=300_000_000, truncated="keep")
    assert made.split.near_duplicates == "report"
    assert made.evaluation == EvaluationSettings(positive="sick people", sensitivity=0.9)
    assert made.command == (
        f".venv/bin/python flows/full_pipeline.py --data {tmp_path} --max-pixels 300000000 "
        "--truncated keep --split stratified --shares 60,20,20 --near-duplicates report "
        "--preset quick --epochs 3 --lr 0.01 --positive 'sick people' --sensitivity 0.9"
    )
    assert plan(tmp_path).reading == ReadingSettings()
    assert plan(tmp_path).split.near_duplicates == "join"


@pytest.mark.parametrize(
    ("only", "network"),
    [(None, "resnext50_32x4d"), ("split", ""), ("pack", ""), ("train", "resnext50_32x4d")],
)
def test_a_run_that_trains_no_network_names_none(only: Any, network: str) -> None:
    assert plan(run=RunFlags(only=only)).facts["network"] == network


def test_the_positive_class_must_be_one_that_was_found() -> None:
    require_positive(EvaluationSettings(), ["a", "b", "c"])
    require_positive(EvaluationSettings(sensitivity=0.9), ["a", "others"])
    require_positive(EvaluationSettings(positive="c", sensitivity=0.9), ["a", "b", "c"])
    with pytest.raises(InputError, match=r"must be one of the classes \(a, b\), got 'c'"):
        require_positive(EvaluationSettings(positive="c"), ["a", "b"])
    for classes in (["a", "b"], ["a", "b", "c"]):
        with pytest.raises(InputError, match=r"^sensitivity must go with `positive` where no"):
            require_positive(EvaluationSettings(sensitivity=0.9), classes)
        with pytest.raises(InputError, match=r"^threshold must go with .* Name one of a, b"):
            require_positive(EvaluationSettings(threshold=0.3), classes)
        with pytest.raises(InputError, match=r"^prevalence must go with `positive` where no"):
            require_positive(EvaluationSettings(prevalence=0.02), classes)
    many = [f"c{number:02}" for number in range(30)]
    with pytest.raises(InputError, match=r"c19 and 10 more\), got 'x'"):
        require_positive(EvaluationSettings(positive="x"), many)


def test_an_unnamed_data_set_is_called_synthetic(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plans, "USUAL_DATA", tmp_path / "absent")
    made = plan()
    assert made.data is None
    assert "synthetic" in made.data_name
    assert "synthetic" in plans.name_of(DataFlags(), TrainingFlags())


def test_wrong_input_has_no_traceback_and_other_faults_have_one() -> None:
    def broken() -> None:
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault of the program"):
        command.run_command(broken, name="x", arguments=[])

    def wrong() -> None:
        raise InputError("--x", "be 1", "\n 2")

    assert command.run_command(wrong, name="x", arguments=[]) == 2


def test_devices_must_be_there_and_are_those_that_torchrun_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(**flags: Any) -> RunFlags:
        return RunFlags(store=tmp_path, device="cpu", **flags)

    monkeypatch.setattr(plans, "count_cpus", lambda: 4)
    assert plan(run=run()).devices == 1
    assert plan(run=run(devices=4)).devices == 4
    with pytest.raises(InputError, match="devices must be at most 4, the cores of this machine"):
        plan(run=run(devices=5))
    with pytest.raises(InputError, match="devices must be left out with `jobs`"):
        plan(run=run(devices=2, jobs=2))
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setenv("MASTER_ADDR", "first")
    monkeypatch.setenv("MASTER_PORT", "29500")
    found = plan(run=run())
    assert found.devices == 6, "on two hosts"
    assert found.command.endswith("--devices 6")
    assert found.runtime(tmp_path).meeting == "first:29500/start-0"
    with pytest.raises(InputError, match="devices must be 6, as torchrun started, got 2"):
        plan(run=run(devices=2))


def test_decisions_and_the_search_for_doubts_are_in_the_command(tmp_path: Path) -> None:
    file = tmp_path / "decisions.csv"
    file.write_text("path,decision\n")
    made = resolve(DataFlags(decisions=file), RunFlags(find_doubts=True))
    assert made.decisions is not None
    assert made.decisions.single_path() == file
    assert f"--decisions {file}" in made.command
    assert "--find-doubts" in made.command
    assert resolve().decisions is None
