package audit

import (
	"strconv"
	"time"
)

// stamp writes times as RFC 3339 has them, in UTC and to the microsecond. Within a second only
// the fraction is new. The zero value is ready.
type stamp struct {
	second int64  // since 1970
	text   []byte // of that second; nil before the first
}

func (s *stamp) append(dst []byte, t time.Time) []byte {
	if second := t.Unix(); s.text == nil || second != s.second {
		s.second, s.text = second, t.UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05")
	}
	dst = append(dst, s.text...)
	micros := t.Nanosecond() / 1000
	digits := [...]byte{'.', 0, 0, 0, 0, 0, 0, 'Z'}
	for i := 6; i > 0; i-- {
		digits[i] = '0' + byte(micros%10)
		micros /= 10
	}
	return append(dst, digits[:]...)
}

// appendHead starts a line.
func (s *stamp) appendHead(dst []byte, seq uint64, t time.Time) []byte {
	dst = append(dst, `{"v":`...)
	dst = strconv.AppendInt(dst, version, 10)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = s.append(dst, t)
	return append(dst, '"')
}
