// Package file reads the files of a site: cordon.yaml, site.yaml, tiers and devices. It knows
// their shape and nothing of what they mean; package policy compiles what it reads.
//
// Reading goes in three steps. [Parse] turns YAML into trees of [Node] that remember where each
// line stands. [Merge] lays a device over its tiers, tree over tree, so that each line of the
// result still knows its origin. [Decode] fills the typed structs of this package from a tree,
// strictly. None of the steps stops at the first problem: each adds what it finds to [Problems],
// so that an author sees all of them at once.
//
// The structs are also what the JSON schemas for editors are generated from: the json tag names
// the key (without omitempty it must be there), the jsonschema tag documents it, the enum tag
// lists the values it may have.
package file
