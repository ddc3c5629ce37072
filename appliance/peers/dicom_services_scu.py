"""A workstation and modality on pynetdicom.

usage: dicom_services_scu.py PORT CALLING_AE CALLED_AE OWN_PORT

Reads the names of what it is to do from standard input: find, cancel, worklist, get, move, astray
(a move to nobody), mpps, commit-same, commit-new, print. Each is done on an association of its own;
one line of JSON answers it: what came back, statuses in hex. What is sent to it, objects of a move
and reports of storage commitment, it takes at OWN_PORT.
"""

import json
import sys
from queue import Queue

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    Printer,
    PrinterInstance,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

port, calling, called, own_port = sys.argv[1:]
uncompressed = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
stored, reports = Queue(), Queue()
SECONDS = 20


def store(event):
    stored.put(event.dataset.SOPInstanceUID)
    return 0x0000


def reported(event):
    info = event.event_information
    reports.put([event.event_type, info.TransactionUID, len(info.ReferencedSOPSequence)])
    return 0x0000, None


handlers = [(evt.EVT_C_STORE, store), (evt.EVT_N_EVENT_REPORT, reported)]


def emptied(queue):
    found = []
    while not queue.empty():
        found.append(queue.get())
    return sorted(found)


def dataset(**attributes):
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def code(status):
    return f"{status.Status:04x}" if "Status" in status else "none"


class On:
    """An association for one SOP class and what comes with it."""

    def __init__(self, abstract, *more, roles=()):
        ae = AE(ae_title=calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = SECONDS
        contexts = [build_context(abstract)] + [build_context(m, uncompressed) for m in more]
        self.assoc = ae.associate("127.0.0.1", int(port), contexts=contexts, ae_title=called,
                                  ext_neg=[build_role(r, scp_role=True) for r in roles], evt_handlers=handlers)
        if not self.assoc.is_established:
            raise RuntimeError("no association")

    def __enter__(self):
        return self.assoc

    def __exit__(self, *_):
        self.assoc.release()


STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.2000.1"}


def matches(responses):
    return [[code(s), json.loads(ds.to_json()) if ds else None] for s, ds in responses]


def find():
    with On(StudyRootQueryRetrieveInformationModelFind) as assoc:
        return matches(assoc.send_c_find(dataset(PatientID="", **STUDY), StudyRootQueryRetrieveInformationModelFind))


def worklist():
    step = dataset(Modality="CT", ScheduledProcedureStepStartDate="20260102")
    with On(ModalityWorklistInformationFind) as assoc:
        return matches(assoc.send_c_find(dataset(PatientID="", AccessionNumber="", ScheduledProcedureStepSequence=[step]),
                                         ModalityWorklistInformationFind))


def cancel():
    model = StudyRootQueryRetrieveInformationModelFind
    with On(model) as assoc:
        for n, (status, _) in enumerate(assoc.send_c_find(dataset(PatientID="ENDLESS", **STUDY), model, msg_id=7)):
            if n == 2:
                assoc.send_c_cancel(7, query_model=model)
        return code(status)


def get():
    model = StudyRootQueryRetrieveInformationModelGet
    with On(model, CTImageStorage, roles=[CTImageStorage]) as assoc:
        last = [(code(s), s.get("NumberOfCompletedSuboperations")) for s, _ in assoc.send_c_get(dataset(**STUDY), model)][-1]
    return [last, emptied(stored)]


def move(to=calling):
    model = StudyRootQueryRetrieveInformationModelMove
    with On(model) as assoc:
        last = [(code(s), s.get("NumberOfCompletedSuboperations")) for s, _ in assoc.send_c_move(dataset(**STUDY), to, model)][-1]
    return [last, emptied(stored)]


def mpps():
    model = ModalityPerformedProcedureStep
    begun = dataset(PerformedProcedureStepStatus="IN PROGRESS", PerformedProcedureStepID="S1", Modality="CT")
    done = dataset(PerformedProcedureStepStatus="COMPLETED")
    with On(model) as assoc:
        return [code(s[0]) for s in (
            assoc.send_n_create(begun, model, "2.25.2002.1"),
            assoc.send_n_set(done, model, "2.25.2002.1"),
            assoc.send_n_set(done, model, "2.25.2002.999"),
        )]


def commit(transaction):
    item = dataset(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID="2.25.2000.3.1")
    with On(StorageCommitmentPushModel) as assoc:
        status, _ = assoc.send_n_action(dataset(TransactionUID=transaction, ReferencedSOPSequence=[item]), 1,
                                        StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        return [code(status), reports.get(timeout=SECONDS)]


def print_film():
    meta = BasicGrayscalePrintManagementMeta
    session, box = "2.25.2003.1", "2.25.2003.2"
    image = dataset(SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", Rows=16, Columns=16, PixelAspectRatio=[1, 1],
                    BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, PixelData=bytes(256))
    image["PixelData"].VR = "OW"
    said = []
    with On(meta) as assoc:
        status, printer = assoc.send_n_get([0x21100010], Printer, PrinterInstance, meta_uid=meta)
        said.append([code(status), printer.get("PrinterStatus")])
        status, _ = assoc.send_n_create(dataset(NumberOfCopies=1), BasicFilmSession, session, meta_uid=meta)
        said.append(code(status))
        film = dataset(ImageDisplayFormat=r"STANDARD\1,1", FilmOrientation="PORTRAIT", FilmSizeID="8INX10IN",
                       ReferencedFilmSessionSequence=[dataset(ReferencedSOPClassUID=BasicFilmSession, ReferencedSOPInstanceUID=session)])
        status, reply = assoc.send_n_create(film, BasicFilmBox, box, meta_uid=meta)
        said.append(code(status))
        place = reply.ReferencedImageBoxSequence[0].ReferencedSOPInstanceUID
        status, _ = assoc.send_n_set(dataset(ImageBoxPosition=1, BasicGrayscaleImageSequence=[image]),
                                     BasicGrayscaleImageBox, place, meta_uid=meta)
        said.append(code(status))
        status, _ = assoc.send_n_action(None, 1, BasicFilmBox, box, meta_uid=meta)
        said.append(code(status))
        said.append(code(assoc.send_n_delete(BasicFilmBox, box, meta_uid=meta)))
        said.append(code(assoc.send_n_delete(BasicFilmSession, session, meta_uid=meta)))
    return said


tasks = {
    "find": find, "worklist": worklist, "cancel": cancel, "get": get, "move": move, "astray": lambda: move("NOBODY"),
    "mpps": mpps, "commit-same": lambda: commit("2.25.2004.1"), "commit-new": lambda: commit("2.25.2004.2"), "print": print_film,
}

listening = AE(ae_title=calling)
listening.add_supported_context(CTImageStorage, uncompressed)
listening.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
listening.start_server(("127.0.0.1", int(own_port)), block=False, evt_handlers=handlers)
for line in sys.stdin:
    try:
        answer = tasks[line.strip()]()
    except Exception as e:  # what went wrong is an answer too
        answer = f"{type(e).__name__}: {e}"
    print(json.dumps(answer, sort_keys=True), flush=True)
listening.shutdown()
