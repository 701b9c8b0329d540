"""Tables as spreadsheets leave them, and errors that point at a cell."""

import pytest

from tomos.datasets.table import read_table, write_table
from tomos.types import DatasetError

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "data",
    [
        b"image,label\na.png,x\n",
        "\ufeffimage,label\r\na.png,x\r\n".encode(),
        b"image;label\r\na.png;x\r\n",
        b"sep=;\r\nimage;label\r\na.png;x\r\n",
        b"image\tlabel\na.png\tx\n",
        "image,label\na.png,x\n".encode("utf-16"),
        b"image,label,,\n\n a.png , x ,,\n,,,\n",
        b'"image","label"\n"a.png","x"\n',
    ],
    ids=["plain", "bom", "semicolon", "sep-line", "tab", "utf-16", "empty-cells", "quoted"],
)
def test_what_a_spreadsheet_saves_is_read(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    table = read_table(tmp_path / "t.csv")
    assert table.columns == ("image", "label")
    assert table.rows == (("a.png", "x"),)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_chinese_columns_and_cells(tmp_path, encoding):
    (tmp_path / "病例.csv").write_bytes("图像,诊断\n胸片 1.png,肺炎\n".encode(encoding))
    table = read_table(tmp_path / "病例.csv")
    assert table.column("诊断") == ["肺炎"]
    assert table.column("图像") == ["胸片 1.png"]


def test_the_line_is_that_of_the_file_not_of_the_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('image,note\na,"two\nlines"\n\nb,one\n', encoding="utf-8")
    table = read_table(path)
    assert table.lines == (3, 5)
    assert table.where(1, "note") == f"{path}, line 5, column 'note'"


def test_a_comma_in_a_quoted_cell_survives_writing(tmp_path):
    write_table(tmp_path / "t.csv", ["image", "label"], [["a", 'normal, "benign"'], ["b\nc", ""]])
    assert read_table(tmp_path / "t.csv").rows == (("a", 'normal, "benign"'), ("b\nc", ""))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"image,label\na\n", "line 2: expected 2 cells, got 1"),
        (b"image,label\na,b,c\n", "line 2: expected 2 cells, got 3"),
        (b"image,image\na,b\n", "column 'image' stands twice"),
        (b"", "the table is empty"),
        (b"image,label\n\0,b\n", "not a text table"),
        (b'image,label\n"a,b\n', "not readable as CSV"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(tmp_path, data, said):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=said):
        read_table(tmp_path / "t.csv")


def test_a_wrong_column_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "t.csv").write_text("image,label\na,b\n")
    with pytest.raises(DatasetError, match="no column 'lable'; did you mean 'label'"):
        read_table(tmp_path / "t.csv").column("lable")
