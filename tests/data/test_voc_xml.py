"""Annotations of VOC in other encodings and dialects, and what is none."""

import pytest

from mlrpl.data.voc_xml import VocObject, read_annotation
from support.data_files import fails

CAT, DOG = VocObject("cat", False), VocObject("dog", True)
OBJECTS = (
    "<object><name>cat</name><part><name>head</name><bndbox/></part></object>"
    "<object><name> dog </name><difficult> 1 </difficult><bndbox/></object>"
)


def read_objects(data: bytes, where: str) -> list[VocObject]:
    return list(read_annotation(data, where).objects)


def wrapped(objects: str = OBJECTS) -> str:
    return f"<annotation><filename>a.jpg</filename>{objects}</annotation>"


@pytest.mark.parametrize(
    "text",
    [
        wrapped(),
        wrapped().replace("<annotation>", '<annotation xmlns="http://a.example/1">'),
        "<v:annotation xmlns:v='urn:x'>"
        + OBJECTS.replace("</", "<//").replace("<", "<v:").replace("<v://", "</v:")
        + "</v:annotation>",
        f"<annotations>{wrapped()}</annotations>",
        wrapped(f"<objects>{OBJECTS}</objects>"),
        wrapped(f"<a><b>{OBJECTS}</b></a>"),
        f"<doc>{OBJECTS}</doc>",
        wrapped()
        .replace("object", "Object")
        .replace("name>", "NAME>")
        .replace("annotation", "Annotation"),
        f"<?xml version='1.0'?><!-- a --><!DOCTYPE annotation>\n{wrapped()}",
    ],
)
def test_objects_are_found_in_every_dialect(text):
    assert read_objects(text.encode(), "x.xml") == [CAT, DOG]


@pytest.mark.parametrize(
    "text",
    [
        "<annotation/>",
        "<annotation><filename>a.jpg</filename><size><width>3</width></size>"
        "<source><name>web</name></source></annotation>",
        '<annotation xmlns="urn:x"></annotation>',
    ],
)
def test_a_picture_without_objects_has_none(text):
    assert read_objects(text.encode(), "x.xml") == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<annotations></annotations>", "its top is <annotations> and has no annot"),
        (f"<annotations>{wrapped()}{wrapped()}</annotations>", "has 2 annotations"),
        ("<html><body>404</body></html>", "its top is <html> and has no annotation"),
        (f"<doc><objects>{OBJECTS}</objects></doc>", "its top is <doc>"),
        (wrapped("<obj><name>cat</name><bndbox/></obj>"), "has a bndbox and no object"),
        (wrapped("<item><polygon/></item>"), "has a polygon and no object; put"),
        (wrapped("<object><difficult>yes</difficult></object>"), "difficult is 'yes'"),
        ("<annotation><object>", "is not XML"),
        ("", "is not XML"),
        ("a,b,c", "is not XML"),
    ],
)
def test_what_is_no_annotation_is_refused(text, fault):
    message = fails(read_objects, text.encode(), "x.xml", match=fault)
    assert message.startswith("x.xml: ")


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("gb2312", "gb18030", "猫"),
        ("GB2312", "gb18030", "鑫"),
        ("gbk", "gbk", "猫"),
        ("gb18030", "gb18030", "𠮷"),
        ("big5", "big5", "貓"),
        ("Shift_JIS", "cp932", "犬①"),
        ("euc-jp", "euc_jp", "犬"),
        ("euc-kr", "euc_kr", "개"),
        ("ISO-8859-1", "latin-1", "Kätzchen"),
        ("windows-1251", "cp1251", "кошка"),
        ("UTF-16", "utf-16", "猫"),
        ("utf-8", "utf-8-sig", "猫"),
        # Plain UTF-8, whatever is declared.
        ("ANSI", "utf-8", "猫"),
        ("utf-16", "utf-8", "猫"),
        ("unicode", "utf-8", "Kätzchen"),
        ("gb2312", "ascii", "cat"),
        ("hex", "utf-8", "cat"),
    ],
)
def test_declared_encodings(declared, codec, name):
    text = f'<?xml version="1.0" encoding="{declared}"?>\n'
    text += wrapped(f"<object><name>{name}</name></object>")
    found = read_objects(text.encode(codec), "x.xml")
    assert found == [VocObject(name, False)]


@pytest.mark.parametrize("declared", ["ANSI", "utf-8", "big5", "x-none", "base64", ""])
def test_text_in_no_encoding_that_it_says_is_refused(declared):
    says = f"encoding='{declared}'" if declared else ""
    text = f"<?xml version='1.0' {says}?>".encode()
    text += wrapped("<object><name>\xff\xff\xfe</name></object>").encode("latin-1")
    says = f"the encoding {declared}" if declared else "no encoding"
    match = rf"^x\.xml: declares {says}, and is not text in it or in UTF-8; save"
    fails(read_objects, text, "x.xml", match=match)


def test_deep_nesting_is_no_trouble():
    deep = "<a>" * 200_000 + OBJECTS + "</a>" * 200_000
    assert read_objects(wrapped(deep).encode(), "x.xml") == [CAT, DOG]


def test_boxes_and_sizes_are_found_in_every_dialect():
    text = (
        "<Annotation><Size><Width> 4 </Width></Size><Object><Name>cat</Name><BndBox>"
        "<XMin>1</XMin><YMax>2.5</YMax></BndBox><part><bndbox><xmin>9</xmin></bndbox>"
        "</part></Object><object><name>dog</name></object></Annotation>"
    )
    found = read_annotation(text.encode(), "x.xml")
    assert found.size == (" 4 ", None)
    edges = [item.edges for item in found.objects]
    assert edges == [("1", None, None, "2.5"), (None,) * 4]
