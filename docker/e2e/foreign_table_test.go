//go:build e2e

package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// row is what README.md says of a client.
type row struct {
	version string
	claims  map[string]string // by column
}

// readmeTable reads the table whose first column is headed "client".
func readmeTable(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]row)
	var header []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "client":
			header = cells
		case header == nil || strings.HasPrefix(cells[0], "---"):
		case len(cells) != len(header):
			header = nil // the table is over
		default:
			r := row{version: cells[1], claims: make(map[string]string)}
			for i, column := range header[2:] {
				r.claims[column] = cells[i+2]
			}
			rows[cells[0]] = r
		}
	}
	return rows
}

func readmeRow(t *testing.T, name string) row {
	t.Helper()
	return readmeTable(t)[name]
}

// TestReadmeClaimsOfForeignClients compares the table of README.md with the proofs: "yes" stands where there is one, and nowhere else.
func TestReadmeClaimsOfForeignClients(t *testing.T) {
	rows := readmeTable(t)
	for _, c := range clients {
		r, ok := rows[c.name]
		if !ok {
			t.Errorf("README.md says nothing of %s", c.name)
			continue
		}
		delete(rows, c.name)
		for column, claim := range r.claims {
			if !slices.Contains(columns, column) {
				t.Fatalf("README.md has a column %q that no test knows", column)
			}
			if proven := c.shows[column] != nil; proven != (claim == "yes") {
				t.Errorf("README.md says %q of %s, %s; that a test shows it is %t", claim, c.name, column, proven)
			}
		}
		if len(r.claims) != len(columns) {
			t.Errorf("README.md has %d columns for %s, want %q", len(r.claims), c.name, columns)
		}
	}
	for name := range rows {
		t.Errorf("README.md speaks of %q, which no test runs", name)
	}
}
