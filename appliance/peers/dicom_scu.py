"""A storage SCU on pynetdicom.

usage: dicom_scu.py HOST PORT CALLING_AE CALLED_AE SECONDS

Reads paths of Part 10 files from standard input. Each is sent on an association of its own, in
the transfer syntax it has, its data set as it stands in the file. One line answers each path:
the status of the C-STORE response in hex ("0000"), or "-" and what went wrong. SECONDS is how
long it waits for an answer.
"""

import sys

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import build_context

_config.STORE_SEND_CHUNKED_DATASET = True  # the data set as it stands in the file


def send(host, port, calling, called, seconds, path):
    meta = read_file_meta_info(path)
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = seconds
    context = build_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    rejected = []

    def received(event):
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejected.append(event.pdu)

    handlers = [(evt.EVT_PDU_RECV, received)]
    assoc = ae.associate(host, port, contexts=[context], ae_title=called, evt_handlers=handlers)
    # Where the answer comes fast, pynetdicom sees the connection closed before it looks at the
    # answer, and takes the association for aborted; hence not assoc.is_rejected.
    if rejected:
        rj = rejected[0]
        return f"- rejected {rj.result} {rj.source} {rj.reason_diagnostic}: {rj.reason_str}"
    if not assoc.is_established:
        return "- no association"
    try:
        status = assoc.send_c_store(path)
        return f"{status.Status:04x}" if "Status" in status else "- no response"
    finally:
        assoc.release()


def main():
    host, port, calling, called, seconds = sys.argv[1:]
    for line in sys.stdin:
        try:
            answer = send(host, int(port), calling, called, int(seconds), line.rstrip("\n"))
        except Exception as e:  # the file cannot be sent; the tests count with it
            answer = f"- {type(e).__name__}: {e}".replace("\n", " ")
        print(answer, flush=True)


main()
