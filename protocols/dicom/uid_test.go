package dicom

import (
	"strings"
	"testing"
)

func TestUIDsThatAreSafeAsNames(t *testing.T) {
	for _, uid := range []string{
		"1", "1.2.840.113619.2.55.3.604688119.868.1", "1.2.3\x00", "1.2.3 ", "1.2.3\x00\x00 ",
		"2.25.329800735698586629295641978511506172918", "1.02.3", strings.Repeat("1", 64), strings.Repeat("1", 64) + "\x00",
	} {
		if !ValidUID([]byte(uid)) {
			t.Errorf("%q is refused", uid)
		}
	}
	for _, uid := range []string{
		"", "\x00", " ", ".", "..", "1.", ".1", "1..2", "../../x", "/etc/cron.d/x", "1.2.840/../3", `C:\x`,
		" 1.2", "1.2\x003", "1.2\n", "1.a", "1.2*", `1.2\1.3`, "１.2", strings.Repeat("1", 65),
	} {
		if ValidUID([]byte(uid)) {
			t.Errorf("%q is let through", uid)
		}
	}
}

func TestPaddingIsTrimmed(t *testing.T) { // D16
	for _, c := range []struct{ in, ae, uid string }{
		{"CT3             ", "CT3", "CT3"},
		{"  CT 3\x00\x00", "CT 3", "  CT 3"},
		{"\x00CT3 \x00 ", "CT3", "\x00CT3"},
		{" \x00 ", "", ""},
		{"", "", ""},
	} {
		if got := string(TrimAE([]byte(c.in))); got != c.ae {
			t.Errorf("TrimAE(%q) = %q, want %q", c.in, got, c.ae)
		}
		if got := string(TrimUID([]byte(c.in))); got != c.uid {
			t.Errorf("TrimUID(%q) = %q, want %q", c.in, got, c.uid)
		}
	}
}

func TestLetteredUID(t *testing.T) {
	for uid, want := range map[string]bool{
		"1.2.3": true, "1.2.840.abc.7F": true, "0a\x00": true,
		"": false, ".": false, "..": false, "1..2": false, ".1": false, "1.": false, "a/b": false, `a\b`: false, "1.2 3": false,
		strings.Repeat("a", 65): false,
	} {
		if got := LetteredUID([]byte(uid)); got != want {
			t.Errorf("LetteredUID(%q) = %v", uid, got)
		}
	}
}
