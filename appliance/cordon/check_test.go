package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"
)

// Who keeps the policies need not have the keys: what may not be read is no mistake.
func TestKeysOfOthersAreNoMistake(t *testing.T) {
	secret := fmt.Errorf("flow ct-3/archive: key file: %w", &fs.PathError{Op: "open", Path: "ct-3.key", Err: syscall.EACCES})
	wrong := errors.New("flow us-2/archive: certificate file us-2.pem holds nothing in PEM form")
	unread, unusable := apart([]error{secret, wrong})
	if !slices.Equal(unread, []string{secret.Error()}) || !slices.Equal(unusable, []string{wrong.Error()}) {
		t.Errorf("unread %q, unusable %q", unread, unusable)
	}
}
