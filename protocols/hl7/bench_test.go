package hl7

import (
	"strings"
	"testing"

	"cordon/protocols"
)

func BenchmarkExchange(b *testing.B) {
	for _, size := range []struct {
		name string
		obx  int
	}{{"small", 10}, {"large", 10000}} {
		b.Run(size.name, func(b *testing.B) {
			message := []byte(block(msg("ORU^R01", "1", "") + strings.Repeat("OBX|1|NM|718-7^Hemoglobin^LN||13.2|g/dL|||||F\r", size.obx)))
			answer := []byte(block(ack("AA", "1")))
			c, p := New(config(), &testRules{tolerate: Tolerance{MaxMessage: len(message)}}), new(protocols.Plan)
			b.SetBytes(int64(len(message) + len(answer)))
			b.ReportAllocs()
			for b.Loop() {
				p.Reset()
				if err := c.Step(near, message, p); err != nil {
					b.Fatal(err)
				}
				p.Reset()
				if err := c.Step(far, answer, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
