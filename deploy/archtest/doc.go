// Package archtest has only tests. They check the shape of the tree: which package imports which, how large interfaces are,
// what the shipped programs contain, and what the documents say about the tree.
package archtest
