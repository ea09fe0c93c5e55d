package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// A node is an operator in a plan.
type node struct {
	// text tells people what the operator does.
	text string
	// state describes what the operator keeps, with all that its content depends
	// on; "": nothing. Two operators of equal state can take over from each other.
	state func() string
	// reach is how far back, before the row that is made now, the rows are that
	// the operator makes it of.
	reach saql.Ticks
	// perPartition: the operator never brings rows of two partitions together.
	perPartition bool
	// build makes the operator for an instance; nil: the node is an input.
	build func(fail Failure) Operator

	from    []*node
	to      []edge
	outputs []int
	place   int // among the nodes of the program
}

// An edge leads to the node that takes the rows, at a port.
type edge struct {
	to   *node
	port int
}

// add puts a node behind those it reads; the first is its port 0.
func (c *compiler) add(n *node, from ...*node) *node {
	for port, f := range from {
		f.to = append(f.to, edge{n, port})
	}
	n.from = from
	c.nodes = append(c.nodes, n)
	return n
}

// prune drops nodes that no output depends on, such as steps that nobody reads.
func prune(nodes []*node) []*node {
	needed := make(map[*node]bool)
	var need func(n *node)
	need = func(n *node) {
		if needed[n] {
			return
		}
		needed[n] = true
		for _, f := range n.from {
			need(f)
		}
	}
	for _, n := range nodes {
		if len(n.outputs) > 0 {
			need(n)
		}
	}
	var kept []*node
	for _, n := range nodes {
		if !needed[n] {
			continue
		}
		var to []edge
		for _, e := range n.to {
			if needed[e.to] {
				to = append(to, e)
			}
		}
		n.to, n.place = to, len(kept)
		kept = append(kept, n)
	}
	return kept
}

// Explain returns the operators as an indented text: each stands above those
// that take its rows; one that several take stands once, with a number.
func (p *Program) Explain() string {
	var b strings.Builder
	numbers, seen := make(map[*node]int), make(map[*node]bool)
	for _, n := range p.nodes {
		if len(n.from) > 1 {
			numbers[n] = len(numbers) + 1
		}
	}
	var show func(n *node, depth int)
	show = func(n *node, depth int) {
		indent := strings.Repeat("  ", depth)
		number := ""
		if i, ok := numbers[n]; ok {
			number = fmt.Sprintf("#%d ", i)
		}
		if seen[n] {
			fmt.Fprintf(&b, "%s%s(above)\n", indent, number)
			return
		}
		seen[n] = true
		fmt.Fprintf(&b, "%s%s%s\n", indent, number, n.text)
		for _, o := range n.outputs {
			fmt.Fprintf(&b, "%s  output %s\n", indent, p.outputs[o].Name)
		}
		for _, e := range n.to {
			show(e.to, depth+1)
		}
	}
	for _, in := range p.inputs {
		show(in.node, 0)
	}
	return b.String()
}

// Fingerprint is equal for programs that can take over each other's state: the
// same inputs, outputs and operators that keep something, which are fed by the
// same filters and projections. What stands behind the last operator that keeps
// something does not matter, such as HAVING and the columns of the outputs.
func (p *Program) Fingerprint() string {
	h := sha256.New()
	for _, in := range p.inputs {
		fmt.Fprintf(h, "input %q %q\n", strings.ToLower(in.Alias), in.clause)
	}
	feeds, number := p.feeds(), make(map[*node]int)
	for i, n := range p.nodes {
		if !feeds[i] {
			continue
		}
		number[n] = len(number)
		if n.state != nil {
			fmt.Fprintf(h, "keep %q", n.state())
		} else {
			fmt.Fprintf(h, "make %q", n.text)
		}
		for _, f := range n.from {
			fmt.Fprintf(h, " from %d", number[f])
		}
		fmt.Fprintln(h)
	}
	for _, o := range p.outputs {
		fmt.Fprintf(h, "output %q\n", o.Name)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// feeds tells, by place, the nodes that keep something or feed one that does.
func (p *Program) feeds() []bool {
	feeds := make([]bool, len(p.nodes))
	for i := len(p.nodes) - 1; i >= 0; i-- {
		feeds[i] = feeds[i] || p.nodes[i].state != nil
		for _, f := range p.nodes[i].from {
			feeds[f.place] = feeds[f.place] || feeds[i]
		}
	}
	return feeds
}

// Reach returns how far back a replay must start so that it makes the rows that
// an undisturbed run makes: the longest way through windows and limits.
func (p *Program) Reach() saql.Ticks {
	var longest saql.Ticks
	reach := make([]saql.Ticks, len(p.nodes))
	for i, n := range p.nodes {
		for _, f := range n.from {
			reach[i] = max(reach[i], reach[f.place])
		}
		reach[i] += n.reach
		longest = max(longest, reach[i])
	}
	return longest
}

// Sharding tells how the program may be spread over instances.
func (p *Program) Sharding() Sharding {
	s := Sharding{PerPartition: true}
	for _, n := range p.nodes {
		s.PerPartition = s.PerPartition && n.perPartition
	}
	s.PassThrough = p.passThrough
	return s
}
