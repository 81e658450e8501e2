package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	chapter = "## What happens when"
	top     = "../.." // of the repository
)

var (
	testLink = regexp.MustCompile("^\\[`(Test[A-Za-z0-9_]+)`\\]\\(([a-z0-9_./]+_test\\.go)\\)$")
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(\w+ \*testing\.T\)`)
)

// TestReadmeEventsAreTested reads the chapter of README.md that says what happens when something goes wrong: every row names tests,
// and every one of them exists where its link leads.
func TestReadmeEventsAreTested(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := eventRows(string(text))
	if len(rows) < 15 {
		t.Fatalf("%d rows in the chapter %q", len(rows), chapter)
	}
	for _, cells := range rows {
		for _, fault := range eventFaults(cells, testsIn) {
			t.Errorf("%s: %s", cells[0], fault)
		}
	}
}

// eventRows are the cells of the chapter's table, without its head.
func eventRows(text string) (rows [][]string) {
	_, text, _ = strings.Cut(text, "\n"+chapter)
	text, _, _ = strings.Cut(text, "\n## ")
	head := true
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 2 {
			continue
		}
		if strings.HasPrefix(cells[0], "---") {
			head = false
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if !head {
			rows = append(rows, cells)
		}
	}
	return rows
}

// eventFaults says what is wrong with a row. tests are the names of those in a file.
func eventFaults(cells []string, tests func(path string) (string, error)) (faults []string) {
	if len(cells) != 4 {
		return []string{"want an event, what happens, what is seen, and tests"}
	}
	for i, cell := range cells {
		if cell == "" {
			faults = append(faults, []string{"no event", "it is not said what happens", "it is not said what is seen", "no test"}[i])
		}
	}
	for link := range strings.SplitSeq(cells[3], ", ") {
		m := testLink.FindStringSubmatch(link)
		if m == nil {
			faults = append(faults, link+" is no link to a test")
			continue
		}
		names, err := tests(m[2])
		switch {
		case err != nil:
			faults = append(faults, err.Error())
		case !strings.Contains(names, "\n"+m[1]+"\n"):
			faults = append(faults, m[2]+" has no "+m[1])
		}
	}
	return faults
}

// testsIn are the names of the tests in a file of the repository, each between newlines.
func testsIn(path string) (string, error) {
	source, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		return "", err
	}
	var names strings.Builder
	for _, m := range testFunc.FindAllSubmatch(source, -1) {
		names.WriteString("\n" + string(m[1]) + "\n")
	}
	return names.String(), nil
}

func TestRowsWithoutTestsAreFound(t *testing.T) {
	here := func(string) (string, error) { return "\nTestIt\n", nil }
	for row, faults := range map[string]int{
		"| kill | it goes on | a line | [`TestIt`](a_test.go) |":                           0,
		"| kill | it goes on | a line | |":                                                 2,
		"| kill | it goes on | | [`TestIt`](a_test.go) |":                                  1,
		"| kill | it goes on | a line | [`TestIt`](a_test.go), [`TestOther`](a_test.go) |": 1,
		"| kill | it goes on | a line | TestIt |":                                          1,
		"| kill | it goes on | [`TestIt`](a_test.go) |":                                    1,
	} {
		rows := eventRows("\n" + chapter + "…\n\n| event | | | |\n|---|---|---|---|\n" + row + "\n\n## Next\n\n| a | b |\n")
		if len(rows) != 1 {
			t.Fatalf("%d rows, want 1", len(rows))
		}
		if got := eventFaults(rows[0], here); len(got) != faults {
			t.Errorf("%s\nfaults %q, want %d", row, got, faults)
		}
	}
}
