"""An archive, worklist, performed procedure step, commitment and print SCP on pynetdicom.

usage: dicom_services_scp.py PORT AE_TITLE FOLDER DESTINATION_AE DESTINATION_PORT [KEY CERTIFICATE CA]

Holds the Part 10 files of FOLDER. The destination is where C-MOVE may send to, and where reports
of storage commitment go: on the association of the request when its transaction UID ends in .1, on
a new one to the destination otherwise. A C-FIND for the patient ENDLESS has matches until it is
cancelled. With a key it speaks TLS on both, and wants the certificate of the other end.
"""

import ssl
import sys
from itertools import count
from pathlib import Path
from threading import Thread

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.sop_class import (
    BasicFilmBox,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

port, title, folder, destination, way_back, *files = sys.argv[1:]
uncompressed = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
objects = [dcmread(p) for p in sorted(Path(folder).iterdir())]
steps = {}  # performed procedure steps, by instance
due = {}  # commitments to report on, by association
numbers = count(1)


def tls(protocol):
    if not files:
        return None
    key, certificate, ca = files
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    return context


def away():
    context = tls(ssl.PROTOCOL_TLS_CLIENT)
    return {"tls_args": (context, None)} if context else {}


def find(event):
    asked = event.identifier
    if event.request.AffectedSOPClassUID == ModalityWorklistInformationFind:
        match = Dataset()
        match.PatientID, match.AccessionNumber = "P1", "A1"
        match.ScheduledProcedureStepSequence = [Dataset()]
        match.ScheduledProcedureStepSequence[0].Modality = "CT"
        yield 0xFF00, match
        return
    endless = asked.get("PatientID") == "ENDLESS"
    for o in iter(lambda: objects[0], None) if endless else objects[:1]:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        match = Dataset()
        match.QueryRetrieveLevel, match.StudyInstanceUID, match.PatientID = "STUDY", o.StudyInstanceUID, o.PatientID
        yield 0xFF00, match


def get(event):
    yield len(objects)
    for o in objects:
        yield 0xFF00, o


def move(event):
    if event.move_destination != destination:
        yield None, None
        return
    yield "127.0.0.1", int(way_back), {"contexts": [build_context(CTImageStorage, uncompressed)], **away()}
    yield from get(event)


def create(event):
    reply = Dataset()
    reply.SOPClassUID = event.request.AffectedSOPClassUID
    reply.SOPInstanceUID = event.request.AffectedSOPInstanceUID or f"2.25.2001.{next(numbers)}"
    if reply.SOPClassUID == BasicFilmBox:
        image_box = Dataset()
        image_box.ReferencedSOPClassUID, image_box.ReferencedSOPInstanceUID = BasicGrayscaleImageBox, f"2.25.2001.{next(numbers)}"
        reply.ReferencedImageBoxSequence = [image_box]
    steps[reply.SOPInstanceUID] = event.attribute_list
    return 0x0000, reply


def modify(event):
    if event.request.RequestedSOPClassUID == ModalityPerformedProcedureStep and event.request.RequestedSOPInstanceUID not in steps:
        return 0x0112, None  # no such object instance
    return 0x0000, event.modification_list


def fetch(event):
    reply = Dataset()
    reply.PrinterStatus = "NORMAL"
    return 0x0000, reply


def report(assoc, action):
    done = Dataset()
    done.TransactionUID, done.ReferencedSOPSequence = action.TransactionUID, action.ReferencedSOPSequence
    assoc.send_n_event_report(done, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")


def report_back(action):
    assoc = AE(ae_title=title).associate(
        "127.0.0.1", int(way_back), ae_title=destination,
        contexts=[build_context(StorageCommitmentPushModel)],
        ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)], **away(),
    )
    if assoc.is_established:
        report(assoc, action)
        assoc.release()


def act(event):
    if event.request.RequestedSOPClassUID != StorageCommitmentPushModel:
        return 0x0000, None
    due[event.assoc] = event.action_information
    return 0x0000, None


def sent(event):
    """Reports on a commitment once the response to its request is on the way."""
    if not isinstance(event.message, N_ACTION_RSP) or event.assoc not in due:
        return
    action = due.pop(event.assoc)
    if action.TransactionUID.endswith(".1"):
        Thread(target=report, args=(event.assoc, action)).start()
    else:
        Thread(target=report_back, args=(action,)).start()


ae = AE(ae_title=title)
ae.require_called_aet = True
for abstract in (
    Verification, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet, ModalityWorklistInformationFind, ModalityPerformedProcedureStep,
    StorageCommitmentPushModel, BasicGrayscalePrintManagementMeta,
):
    ae.add_supported_context(abstract)
ae.add_supported_context(CTImageStorage, uncompressed, scu_role=True, scp_role=True)
ae.start_server(
    ("127.0.0.1", int(port)),
    evt_handlers=[
        (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move), (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, modify), (evt.EVT_N_GET, fetch), (evt.EVT_N_ACTION, act), (evt.EVT_N_DELETE, lambda event: 0x0000),
        (evt.EVT_DIMSE_SENT, sent),
    ],
    ssl_context=tls(ssl.PROTOCOL_TLS_SERVER),
)
