package stack

import (
	"bufio"
	"context"
	"strconv"
	"strings"
)

// Metric is the sum of the samples of one name in the process's metrics, of those that carry all the labels, each
// written as name="value". It is 0 if there are none.
func (p *Process) Metric(ctx context.Context, name string, labels ...string) (float64, error) {
	text, err := p.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	return sumSamples(text, name, labels), nil
}

// sumSamples reads Prometheus' text format as far as our own processes write it.
func sumSamples(text, name string, labels []string) float64 {
	var sum float64
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		sample, value, found := cutLast(lines.Text(), " ")
		if !found || !isSample(sample, name, labels) {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum += v
		}
	}
	return sum
}

func isSample(sample, name string, labels []string) bool {
	rest, ok := strings.CutPrefix(sample, name)
	if !ok || (rest != "" && rest[0] != '{') {
		return false
	}
	for _, l := range labels {
		if !strings.Contains(rest, "{"+l) && !strings.Contains(rest, ","+l) {
			return false
		}
	}
	return true
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
