package dicom

import (
	"fmt"

	"cordon/protocols"
)

// statusClass returns the class of a status of the response to a command.
func statusClass(field, status uint16) protocols.StatusClass {
	return protocols.StatusClass(KindOfStatus(field, status).String())
}

// describeStatus says a status of the response to a command with its number, its class and its
// meaning: "A700H failure: Out of resources".
func describeStatus(field, status uint16) string {
	class, meaning := statusClass(field, status), StatusText(field, status)
	if s := managementStatuses[serviceStatus{field | responseBit, status}]; s != "" {
		meaning = s
	}
	switch {
	case class == protocols.StatusUnknown:
		return fmt.Sprintf("%04XH, which the standard does not have", status)
	case meaning == "":
		return fmt.Sprintf("%04XH %s", status, class)
	case class == protocols.StatusWarning, class == protocols.StatusFailure:
		return fmt.Sprintf("%04XH %s: %s", status, class, meaning)
	}
	return fmt.Sprintf("%04XH %s", status, meaning)
}

// serviceStatus is a status of one response.
type serviceStatus struct{ field, status uint16 }

// managementStatuses are those that PS3.4 defines for N-services: print management (Annex H) and
// unified procedure step (Annex CC).
var managementStatuses = map[serviceStatus]string{
	{NCreateRSP, 0xB600}: "Memory allocation not supported",
	{NSetRSP, 0xB600}:    "Memory allocation not supported",
	{NActionRSP, 0xB601}: "Film session printing (collation) is not supported",
	{NActionRSP, 0xB602}: "Film Session contains no Image Box with pixel data; an empty page will not be printed",
	{NActionRSP, 0xB603}: "Film Box contains no Image Box with pixel data; an empty page will not be printed",
	{NSetRSP, 0xB604}:    "Image is larger than Image Box; it has been demagnified",
	{NActionRSP, 0xB604}: "Image is larger than Image Box; it has been demagnified",
	{NCreateRSP, 0xB605}: "Requested Min or Max Density is outside of the printer's range",
	{NSetRSP, 0xB605}:    "Requested Min or Max Density is outside of the printer's range",
	{NSetRSP, 0xB609}:    "Image is larger than Image Box; it has been cropped to fit",
	{NActionRSP, 0xB609}: "Image is larger than Image Box; it has been cropped to fit",
	{NSetRSP, 0xB60A}:    "Image is larger than Image Box; it has been decimated to fit",
	{NActionRSP, 0xB60A}: "Image is larger than Image Box; it has been decimated to fit",
	{NActionRSP, 0xC600}: "Film Session contains no Film Boxes",
	{NActionRSP, 0xC601}: "Unable to create Print Job; print queue is full",
	{NActionRSP, 0xC602}: "Unable to create Print Job; print queue is full",
	{NSetRSP, 0xC603}:    "Image is larger than Image Box",
	{NActionRSP, 0xC603}: "Image is larger than Image Box",
	{NSetRSP, 0xC605}:    "Insufficient memory in printer to store the image",
	{NSetRSP, 0xC613}:    "Combined Print Image is larger than Image Box",
	{NActionRSP, 0xC613}: "Combined Print Image is larger than Image Box",
	{NCreateRSP, 0xC616}: "A Film Box exists that has not been printed, and printing of the Film Session is not supported",

	{NSetRSP, 0xC300}:    "The UPS may no longer be updated",
	{NSetRSP, 0xC301}:    "The correct Transaction UID was not provided",
	{NCreateRSP, 0xC309}: "The provided value of UPS State was not SCHEDULED",
	{NActionRSP, 0xC300}: "The UPS may no longer be updated",
	{NActionRSP, 0xC301}: "The correct Transaction UID was not provided",
	{NActionRSP, 0xC302}: "The UPS is already IN PROGRESS",
	{NActionRSP, 0xC310}: "The UPS is not yet in the IN PROGRESS state",
	{NActionRSP, 0xC311}: "The UPS is already COMPLETED",
}
