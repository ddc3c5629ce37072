"""Says what pydicom reads in DICOM files.

usage: dicom_facts.py

Reads paths of Part 10 files from standard input. One line of JSON answers each path: what the
data set says, by keyword, its pixel data, how many elements it has at all depths and how deep its
sequences nest; or {"error": ...} for a file that pydicom does not accept.
"""

import json
import sys
import warnings

from pydicom import config, dcmread
from pydicom.encaps import generate_fragments, parse_basic_offsets

KEYWORDS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "Modality", "StudyInstanceUID", "SeriesInstanceUID",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)

config.replace_un_with_known_vr = False  # as it stands in the file
config.settings.reading_validation_mode = config.IGNORE
warnings.simplefilter("ignore")


def text(value):
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "\\".join(text(v) for v in value)
    if isinstance(value, bytes):
        return value.decode("latin-1").strip(" \0")
    return "" if value is None else str(value).strip(" \0")


def pixels(element):
    if not element.is_undefined_length:
        return str(len(element.value or b""))
    offsets = parse_basic_offsets(element.value)
    items = generate_fragments(element.value)
    next(items, b"")  # the offset table
    first = next(items, b"")
    return f"encapsulated {4 * len(offsets)} {len(first)}"


def walk(dataset):
    """Counts elements, and how deep sequences with items nest, reading all values."""
    count, deepest = 0, 0
    for element in dataset:
        count += 1
        if element.VR == "SQ":
            if element.value or element.is_undefined_length:
                deepest = max(deepest, 1)
            for item in element.value:
                inside, below = walk(item)
                count, deepest = count + inside, max(deepest, below + 1)
    return count, deepest


def facts(path):
    dataset = dcmread(path)
    elements, depth = walk(dataset)
    found = {k: text(dataset[k].value) for k in KEYWORDS if k in dataset}
    if "SpecificCharacterSet" in dataset:
        found["SpecificCharacterSet"] = text(dataset.get_item("SpecificCharacterSet").value)
    if "PixelData" in dataset:
        found["PixelData"] = pixels(dataset["PixelData"])
    return found | {"elements": str(elements), "depth": str(depth)}


for line in sys.stdin:
    try:
        answer = facts(line.rstrip("\n"))
    except Exception as e:  # whatever it is, pydicom did not accept the file
        answer = {"error": f"{type(e).__name__}: {e}"[:200]}
    print(json.dumps(answer), flush=True)
