package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDrawPlacesPointsLogarithmically(t *testing.T) {
	l := line{name: "all from the origin"}
	l.add(1, 1)
	l.add(10, 10)
	l.add(100, 100)
	svg := draw(chart{title: "copies", lines: []line{l}})
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	if want := `points="56.0,216.0 216.0,126.0 376.0,36.0"`; !strings.Contains(svg, want) {
		t.Errorf("no %s in %s", want, svg)
	}
}
