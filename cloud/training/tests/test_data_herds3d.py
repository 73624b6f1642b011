"""Rendered herds: the readers of the game's files, the renderer, and whole pictures, from a tiny generated art folder."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cattletrain import animals3d, coats, coco, herd_layout, herds3d, pyrogenesis, raster, sites, soils, solids


def state(x=0.0, y=0.0, z=0.0, quaternion=(0.0, 0.0, 0.0, 1.0)) -> bytes:
    return struct.pack("<7f", x, y, z, *quaternion)


def pmd(length: float = 2.0) -> bytes:
    """A block of the given length along z (the file's axes), two bones and one prop point."""
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-length / 2, length / 2)]
    body = struct.pack("<II", len(corners), 1)
    for x, y, z in corners:
        body += struct.pack("<8f", x, y, z, x, y - 0.5, z, x + 0.5, y) + bytes([0 if z < 0 else 1, 255, 255, 255]) + struct.pack("<4f", 1, 0, 0, 0)
    quads = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    faces = [f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))]
    body += struct.pack("<I", len(faces)) + b"".join(struct.pack("<3H", *f) for f in faces)
    body += struct.pack("<I", 2) + state() + state(z=0.5)
    body += struct.pack("<II", 1, 4) + b"back" + state(y=1.0) + bytes([0])
    return b"PSMD" + struct.pack("<II", 4, len(body)) + body


def psa(states: list[bytes], bones: int = 2) -> bytes:
    body = struct.pack("<I", 4) + b"walk" + struct.pack("<fII", 33.0, bones, len(states) // bones) + b"".join(states)
    return b"PSSA" + struct.pack("<II", 1, len(body)) + body


@pytest.fixture(scope="module")
def art(tmp_path_factory) -> Path:
    """An art folder with the actors that the renderer needs; every animal is a block, and one tree has a leaf card on top."""
    root = tmp_path_factory.mktemp("zeroad") / "art"
    for folder in ("meshes/skeletal", "animation/quadraped", "textures/skins/skeletal", "actors/fauna", "variants/quadraped"):
        (root / folder).mkdir(parents=True)
    (root / "meshes/skeletal/block.dae.cached.pmd").write_bytes(pmd())
    for name in ("bovidae_idle_a", "bovidae_walk", "sheep_idle_01"):
        (root / f"animation/quadraped/{name}.dae.cached.psa").write_bytes(psa([state(), state(z=0.5), state(), state(z=0.7)]))
    cv2.imwrite(str(root / "textures/skins/skeletal/skin.png"), np.random.default_rng(1).integers(60, 200, (64, 64, 4), np.uint8))
    (root / "variants/quadraped/base.xml").write_text('<variant><textures><texture file="skeletal/skin.png" name="baseTex"/></textures></variant>')
    actor = """<actor version="1"><group><variant frequency="1" name="body"><mesh>skeletal/block.dae</mesh>{prop}</variant></group>
        <group><variant file="quadraped/base.xml" frequency="1" name="skin"/><variant name="death"/></group></actor>"""
    for name in {*animals3d.CATTLE.actors, *animals3d.OTHERS[0].actors}:
        (root / f"actors/fauna/{name}.xml").write_text(actor.format(prop=""))
    (root / "actors/fauna/pair.xml").write_text(actor.format(prop='<props><prop actor="fauna/cow.xml" attachpoint="back"/></props>'))
    return root.parent


def test_mesh_and_poses_have_the_values_of_the_file(art):
    mesh = pyrogenesis.read_mesh(art / "art/meshes/skeletal/block.dae.cached.pmd")
    # The file's -z is forward (x here), its y is up (z here).
    assert np.allclose(mesh.places.min(0), [-1, -0.5, 0])
    assert np.allclose(mesh.places.max(0), [1, 0.5, 1])
    assert mesh.faces.shape == (12, 3)
    assert mesh.points[0].name == "back"
    assert np.allclose(mesh.points[0].transform[:3, 3], [0, 0, 1])
    frames = pyrogenesis.read_poses(art / "art/animation/quadraped/bovidae_walk.dae.cached.psa")
    places, _ = pyrogenesis.pose(mesh, frames[0])
    assert np.allclose(places, mesh.places, atol=1e-6)
    moved, _ = pyrogenesis.pose(mesh, frames[1])
    back = mesh.places[:, 0] < 0  # the second bone moved by 0.2 along the file's z
    assert np.allclose(moved[back] - mesh.places[back], [-0.2, 0, 0], atol=1e-6)
    assert np.allclose(moved[~back], mesh.places[~back], atol=1e-6)
    with pytest.raises(ValueError, match="bones"):
        pyrogenesis.pose(mesh, frames[0][:1])


@pytest.mark.parametrize(("content", "read"), [(pmd(), pyrogenesis.read_mesh), (psa([state(), state()]), pyrogenesis.read_poses)], ids=["mesh", "poses"])
def test_torn_and_foreign_files_are_named(tmp_path, content, read):
    path = tmp_path / "torn.bin"
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(coco.DataError, match="torn"):
            read(path)
    rng = np.random.default_rng(5)
    for _ in range(250):
        raw = bytearray(content)
        for at in rng.integers(0, len(raw), rng.integers(1, 5)):
            raw[at] = rng.integers(256)
        path.write_bytes(bytes(raw))
        try:
            read(path)
        except coco.DataError as err:
            assert "torn" in str(err)
    with pytest.raises(coco.DataError, match="cannot be read"):
        read(tmp_path / "missing.bin")


def test_a_mesh_with_a_wrong_index_is_refused(tmp_path):
    raw = bytearray(pmd())
    at = raw.index(struct.pack("<I", 12), 12) + 4  # the first corner of the first face
    raw[at : at + 2] = struct.pack("<H", 8)
    (tmp_path / "bad.pmd").write_bytes(bytes(raw))
    with pytest.raises(coco.DataError, match="vertex that it does not have"):
        pyrogenesis.read_mesh(tmp_path / "bad.pmd")


def test_actors_take_textures_of_shared_variants_and_attached_parts(art):
    parts = pyrogenesis.Art(art).assemble("fauna/pair.xml", np.random.default_rng(0))
    assert [p.texture.name for p in parts] == ["skin.png", "skin.png"]
    assert np.allclose(parts[1].transform[:3, 3], [0, 0, 1])
    with pytest.raises(coco.DataError, match="actor"):
        pyrogenesis.Art(art).assemble("fauna/none.xml", np.random.default_rng(0))


def test_camera_finds_the_ground_below_a_pixel():
    camera = raster.Camera.over(400, 30.0, np.radians(35), np.radians(40), (30.0, -20.0))
    places = np.array([[0.0, 0, 0], [3, -2, 0], [-4, 5, 0]])
    pixels, _ = camera.project(places)
    assert np.allclose(camera.ground(pixels), places[:, :2], atol=1e-9)
    assert np.allclose(pixels[0], [230, 180])
    scale = np.linalg.norm(np.diff(camera.project(np.array([[-0.01, 0, 0], [0.01, 0, 0]]))[0], axis=0)) / 0.02
    assert scale == pytest.approx(30, rel=1e-3)


def test_a_block_is_drawn_where_it_is_and_its_shadow_away_from_the_sun():
    body = solids.Solids(0.0).box((0, 0, 0.5), (2, 1, 1), (100, 120, 140)).body().moved(1, 2, np.pi / 2)
    camera = raster.Camera.over(400, 20.0, 0.0, np.radians(2))  # far away: nearly without perspective
    light = raster.Light(np.array([0.6, 0.0, 0.8]), 0.8, 0.0)
    piece = raster.draw(body, camera, light, 400, 4)
    rows, columns = np.nonzero(piece.alpha > 0.5)
    assert (columns.min() + piece.x, columns.max() + 1 + piece.x) == pytest.approx((210, 230), abs=1.01)
    assert (rows.min() + piece.y, rows.max() + 1 + piece.y) == pytest.approx((140, 180), abs=1.01)
    middle = piece.colour[len(piece.colour) // 2, piece.colour.shape[1] // 2]
    assert middle == pytest.approx([100, 120, 140], abs=1)  # level faces in full light keep their colours
    fallen = raster.shadow(body, camera, light, 400)
    _, columns = np.nonzero(fallen.alpha > 0.5)
    assert (columns.min() + fallen.x, columns.max() + 1 + fallen.x) == pytest.approx((195, 230), abs=1.01)  # 1 m high: 0.75 m to the left
    assert raster.draw(body.moved(500, 0, 0), camera, light, 400) is None


def test_every_thing_is_solid_and_of_the_size_of_a_thing():
    rng = np.random.default_rng(3)
    for name, make in herds3d.THINGS.items():
        for _ in range(5):
            body = make(rng)
            assert body.faces.max() < len(body.places), name
            assert np.isfinite(body.places).all() and np.isfinite(body.normals).all(), name
            assert 0.1 < np.ptp(body.places[:, :2], axis=0).max() < 40, name
            assert 0.005 < body.places[:, 2].max() < 14, name


def test_places_have_things_that_can_be_made():
    assert set(sites.THINGS) == {name for names in sites.PLACES.values() for name in names}
    assert not set(sites.THINGS) & set(solids.THINGS)


@pytest.mark.parametrize("breed", sorted(coats.BREEDS))
def test_coats_have_the_colours_of_their_breed(breed):
    rng = np.random.default_rng(2)
    own = rng.uniform([0, -0.5, 0], [1, 0.5, 1], (4000, 3)).astype(np.float32)
    spread = []
    for _ in range(6):
        colour = coats.Coat.draw(breed, rng).colour(own)
        assert colour.shape == (4000, 3) and np.isfinite(colour).all() and colour.min() >= 0 and colour.max() < 330
        spread.append(float(colour.mean(1).std()))
    marked = coats.BREEDS[breed][3] in ("patches", "face", "belt", "specks")
    assert (np.mean(spread) > 25) == marked


@pytest.mark.parametrize("kind", herd_layout.KINDS)
def test_animals_of_a_herd_do_not_stand_within_each_other(kind):
    rng = np.random.default_rng(7)
    seen = 0
    for _ in range(12):
        spots = herd_layout.herd(rng, 30.0, kind)
        seen += len(spots)
        places = np.array([[s.x, s.y] for s in spots])
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + 100 * np.eye(len(places))
        assert gaps.min() > 0.5
        assert all(0.4 <= s.size <= 1.15 and s.state in animals3d.POSES for s in spots)
    assert seen > 30


def test_only_the_first_share_of_each_site_is_used(tmp_path):
    for name in ("dunes_00", "dunes_01", "dunes_02", "dunes_03", "works_1", "works_2"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((4, 4, 3), np.uint8))
    assert [p.stem for p in soils.photographs(tmp_path, 0.5)] == ["dunes_00", "dunes_01", "works_1"]
    with pytest.raises(coco.DataError, match="no pictures"):
        soils.photographs(tmp_path / "none", 1)


def test_pictures_are_the_same_again_and_have_two_categories(art, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(herds3d, "SIDE", 224)
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "field_1.png"), np.random.default_rng(1).integers(60, 180, (300, 300, 3), np.uint8))
    args = [str(art), str(tmp_path / "a"), "--images", "14", "--seed", "9", "--photos", str(photos)]
    assert herds3d.main(args) == 0
    assert "14 pictures" in capsys.readouterr().out
    doc = json.loads((tmp_path / "a/annotations.json").read_text())
    assert {c["id"]: c["name"] for c in doc["categories"]} == {1: "cattle", 2: "other animal"}
    count = {(c, crowd): sum(a["category_id"] == c and a["iscrowd"] == crowd for a in doc["annotations"]) for c in (1, 2) for crowd in (0, 1)}
    assert count[1, 0] > 5 and count[2, 0] > 2 and count[2, 1] == 0, count
    with_animals = {a["image_id"] for a in doc["annotations"]}
    assert 1 <= 14 - len(with_animals) <= 9  # pictures of ground and things only
    data = coco.load(tmp_path / "a")
    assert len(data.images) == 14 and data.clipped == 0
    args[1] = str(tmp_path / "b")
    args[3] = "3"
    assert herds3d.main(args) == 0
    for n in range(3):
        assert (tmp_path / f"a/images/{n:06d}.jpg").read_bytes() == (tmp_path / f"b/images/{n:06d}.jpg").read_bytes()


def test_shares_of_plain_pictures_and_of_close_herds(art):
    ground = soils.Soils([], [])
    plain = herds3d.Renderer(pyrogenesis.Art(art), ground, 4, plain=1.0)
    close = herds3d.Renderer(pyrogenesis.Art(art), ground, 4, plain=0.0, close=1.0)
    sizes = []
    for number in range(6):
        assert not len(plain.make(number).cattle) and not len(plain.make(number).others)
        boxes = close.make(number).cattle
        sizes.append(float(np.median((boxes[:, 2:] - boxes[:, :2]).max(1))) if len(boxes) else 0.0)
    # Dark herds are far away and white ones near: nothing between them.
    assert any(0 < size < 45 for size in sizes) and any(size > 60 for size in sizes), sizes


def test_maps_of_slopes_are_no_ground(tmp_path):
    folder = tmp_path / "textures/terrain/types"
    folder.mkdir(parents=True)
    for name in ("grass_01.dds", "grass_01_norm.dds", "water_1.dds"):
        (folder / name).write_bytes(bytes(40_000))
    assert [p.name for p in soils.textures(tmp_path)] == ["grass_01.dds"]


def test_cattle_have_their_length_and_stand_on_the_ground(art):
    renderer = herds3d.Renderer(pyrogenesis.Art(art), soils.Soils([], []), 1)
    body = renderer.zoo.cattle("charolais", 1.0, "stand", np.random.default_rng(0))
    length, width = np.ptp(body.places[:, 0]), np.ptp(body.places[:, 1])
    assert 0.85 * animals3d.CATTLE_LENGTH < length < 1.3 * animals3d.CATTLE_LENGTH and width < length
    assert body.places[:, 2].min() == pytest.approx(0, abs=1e-5)
    calf = renderer.zoo.cattle("angus", 0.5, "walk", np.random.default_rng(0))
    assert np.ptp(calf.places[:, 0]) < 0.62 * length


def test_boxes_are_those_of_visible_parts_and_hidden_animals_are_ignored():
    owner = np.zeros((100, 100), np.int32)
    owner[10:20, 10:40] = 1  # all of the first
    owner[30:40, 10:20] = 2  # a third of the second: less than VISIBLE
    owner[50:60, 10:12] = 3  # too narrow for a box
    owner[70:80, 50:70] = 4
    owner[90:95, 0:50] = 5  # a thing
    owner[0:2, 90:95] = 6  # too little even to ignore
    areas = [(300, "cattle"), (300, "cattle"), (20, "cattle"), (200, "other"), (250, "thing"), (900, "other")]
    cattle, others, ignore = herds3d._boxes(owner, areas)
    assert cattle.tolist() == [[10, 10, 40, 20]]
    assert others.tolist() == [[50, 70, 70, 80]]
    assert ignore.tolist() == [[10, 30, 20, 40], [10, 50, 12, 60]]


def test_textures_that_cannot_be_read_are_named(tmp_path):
    for content in (b"", b"DDS torn", b"DDS |" + bytes(200)):
        (tmp_path / "torn.dds").write_bytes(content)
        with pytest.raises(coco.DataError, match=r"torn\.dds"):
            animals3d.read_texture(tmp_path / "torn.dds")
    path = tmp_path / "skin.dds"
    Image.new("RGBA", (8, 8), (10, 20, 30, 255)).save(path, "DDS")
    colour, alpha = animals3d.read_texture(path)
    assert colour[3, 3].tolist() == [30, 20, 10] and alpha.min() == 1
    raw = path.read_bytes()
    for size in (9000, 1 << 30):  # the second is more than Pillow opens
        path.write_bytes(raw[:16] + struct.pack("<I", size) + raw[20:])
        with pytest.raises(coco.DataError, match=r"skin\.dds"):
            animals3d.read_texture(path)


def test_wrong_arguments_and_folders_are_named(tmp_path, art, capsys):
    assert herds3d.main([str(tmp_path), str(tmp_path / "out")]) == 1
    assert "art/meshes" in capsys.readouterr().err
    assert herds3d.main([str(art), str(tmp_path / "out"), "--part", "0"]) == 1
    assert "part" in capsys.readouterr().err
