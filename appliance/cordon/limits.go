package main

import (
	"strings"

	"cordon/appliance/screen"
	"cordon/gateway"
)

// showLimits prints how much of their limits devices have used, a line for each device or flow.
func showLimits(out *screen.Screen, limits []gateway.LimitStatus) {
	if len(limits) == 0 {
		return
	}
	out.Printf("\nLimits (of the day since midnight):\n")
	for len(limits) > 0 {
		of := limits[0]
		var texts []string
		mark := screen.Coloured(" ", screen.Default)
		for len(limits) > 0 && limits[0].Device == of.Device && limits[0].Flow == of.Flow {
			if texts = append(texts, limits[0].Text); limits[0].Used >= limits[0].Most {
				mark = screen.Coloured("●", screen.Red)
			}
			limits = limits[1:]
		}
		name := of.Device
		if of.Flow != "" {
			name += "/" + of.Flow
		}
		out.Printf("%s %s: %s\n", mark, name, strings.Join(texts, ", "))
	}
}
