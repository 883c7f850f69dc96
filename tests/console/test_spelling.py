"""Messages name an option as whoever reads them is to write it."""

from knowclip.console import spelling


def test_python_is_told_the_argument() -> None:
    assert spelling.option("caption_column", "column") == "caption_column=NAME"
    assert spelling.unset("split") == "split=None"
    assert spelling.allowed("allow_missing", "data.max_unreadable=SHARE") == "allow_missing=True"


def test_a_command_is_told_its_own_option() -> None:
    with spelling.command_with({"column", "split", "allow_missing"}):
        assert spelling.option("caption_column", "column") == "--column NAME"
        assert spelling.unset("split") == "without --split"
        assert spelling.allowed("allow_missing", "data.max_unreadable=SHARE") == "--allow-missing"
        assert spelling.option("images", value="FOLDER") == ""
    assert spelling.unset("split") == "split=None"


def test_a_run_goes_on_as_what_trains_it_has_it() -> None:
    assert spelling.resuming() == "resume=True"
    for parameters, told in (
        ({"recipe", "overrides", "resume"}, "--resume"),
        ({"study", "overrides"}, "the same command"),
    ):
        with spelling.command_with(parameters):
            assert spelling.resuming() == told


def test_a_command_that_takes_keys_is_told_them() -> None:
    with spelling.command_with({"recipe", "overrides"}):
        assert (
            spelling.option("images", value="FOLDER") == "data.train.images=FOLDER or data.val.images=FOLDER"
        )
        assert spelling.unset("split") == "data.train.split=null or data.val.split=null"
        assert spelling.allowed("allow_missing", "data.max_unreadable=SHARE") == "data.max_unreadable=SHARE"
