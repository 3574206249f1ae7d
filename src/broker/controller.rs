//! The driver of cluster metadata: publishes the image that everyone follows.
//!
//! The image is published when what it holds is committed, and the partitions have followed it before the answer leaves: a
//! client that was told "created" finds the topic.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::state::metadata::{Image, Metadata, MetadataAnswer, MetadataInput, MetadataRecord, MetadataSettings};
use crate::types::{ErrorCode, Offset};

use super::driver::{Driver, Published, RecordLog};
use super::record_log::Codec;

impl Published for Metadata {
    type View = Image;

    fn view(&self) -> Image {
        self.image().clone()
    }

    fn applied_to(&mut self, end: Offset) {
        Metadata::applied_to(self, end);
    }
}

/// Metadata records stand in the value of a record without a key, framed as KRaft frames them.
pub struct MetadataCodec;

impl Codec for MetadataCodec {
    type Record = MetadataRecord;

    fn encode(&self, record: &MetadataRecord) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        (None, Some(record.encode()))
    }

    fn decode(&self, _key: Option<&[u8]>, value: Option<&[u8]>) -> Option<MetadataRecord> {
        match MetadataRecord::decode(value?) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::error!(%error, "a metadata record cannot be read and is passed over");
                None
            }
        }
    }
}

/// What happens with each newly committed image, before anybody is answered.
pub type Follow = Box<dyn Fn(&Image, &Image) + Send + Sync>;

pub struct Controller {
    driver: Arc<Driver<Metadata>>,
    published: Arc<ArcSwap<Image>>,
}

impl Controller {
    pub fn new(
        log: Arc<dyn RecordLog<MetadataRecord>>,
        clock: Arc<dyn Clock>,
        settings: MetadataSettings,
        follow: Follow,
    ) -> Self {
        let published = Arc::new(ArcSwap::from_pointee(Image::new(&settings.cluster_id)));
        let target = published.clone();
        let on_commit = move |image: &Image| {
            let before = target.load_full();
            // First what lives here, then the image: who finds a topic in it finds its partitions too.
            follow(&before, image);
            target.store(Arc::new(image.clone()));
        };
        let birth = move || Metadata::new(settings.clone());
        let driver = Driver::new(log, clock, Box::new(birth), Box::new(on_commit));
        Controller { driver, published }
    }

    /// What is committed now.
    pub fn image(&self) -> Arc<Image> {
        self.published.load_full()
    }

    pub fn load(&self) -> Result<(), ErrorCode> {
        self.driver.load()
    }

    /// The input is taken in at once; the answer comes when it is committed and followed.
    pub fn ask(&self, input: MetadataInput) -> impl Future<Output = Result<MetadataAnswer, ErrorCode>> + Send + use<> {
        self.driver.ask(input)
    }

    pub(super) fn driver(&self) -> &Arc<Driver<Metadata>> {
        &self.driver
    }
}
