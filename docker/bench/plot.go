package main

import (
	"fmt"
	"math"
	"strings"
)

// chart is one picture with logarithmic axes; x is the number of mirrors.
type chart struct {
	title string
	lines []line
}

type line struct {
	name   string
	points [][2]float64
}

func (l *line) add(x, y float64) { l.points = append(l.points, [2]float64{x, y}) }

// Sizes in the picture's units.
const (
	chartWidth, chartHeight = 400, 280
	plotLeft, plotTop       = 56, 36
	plotWidth, plotHeight   = 320, 180
)

// lineColours stay apart for those who do not see all colours, too.
var lineColours = [...]string{"#0072b2", "#d55e00", "#777777"}

// draw places the charts side by side in one SVG, with one legend below.
func draw(charts ...chart) string {
	var b strings.Builder
	width := chartWidth * len(charts)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, chartHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, chartHeight)
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*chartWidth)
		c.draw(&b)
		b.WriteString("</g>\n")
	}
	for i, l := range charts[0].lines {
		x := plotLeft + 180*i
		fmt.Fprintf(&b, `<path d="M%d %d h20" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>`+"\n",
			x, chartHeight-14, lineColours[i], x+26, chartHeight-10, l.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c chart) draw(b *strings.Builder) {
	x, y := c.axis(0, plotLeft, plotWidth), c.axis(1, plotTop+plotHeight, -plotHeight)
	fmt.Fprintf(b, `<text x="%d" y="20" font-weight="bold">%s</text>`+"\n", plotLeft, c.title)
	for _, d := range x.decades() {
		fmt.Fprintf(b, `<path d="M%.1f %d v%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n",
			x.at(d), plotTop, plotHeight, x.at(d), plotTop+plotHeight+16, d)
	}
	for _, d := range y.decades() {
		fmt.Fprintf(b, `<path d="M%d %.1f h%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			plotLeft, y.at(d), plotWidth, plotLeft-6, y.at(d)+4, d)
	}
	for i, l := range c.lines {
		var path []string
		for _, p := range l.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p[0]), y.at(p[1])))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %.2f at %g</title></circle>`+"\n",
				x.at(p[0]), y.at(p[1]), lineColours[i], l.name, p[1], p[0])
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), lineColours[i])
	}
}

// scale maps values to places, logarithmically.
type scale struct{ low, high, from, length float64 } // low and high: exponents of ten

// axis covers whole decades of what the lines hold.
func (c chart) axis(dimension int, from, length float64) scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range c.lines {
		for _, p := range l.points {
			low, high = min(low, p[dimension]), max(high, p[dimension])
		}
	}
	s := scale{low: math.Floor(math.Log10(low)), high: math.Ceil(math.Log10(high)), from: from, length: length}
	if s.high <= s.low {
		s.high = s.low + 1
	}
	return s
}

func (s scale) at(v float64) float64 { return s.from + s.length*(math.Log10(v)-s.low)/(s.high-s.low) }

func (s scale) decades() []float64 {
	var all []float64
	for e := s.low; e <= s.high; e++ {
		all = append(all, math.Pow(10, e))
	}
	return all
}
